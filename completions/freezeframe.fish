# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_freezeframe_global_optspecs
    string join \n h/help V/version
end

function __fish_freezeframe_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_freezeframe_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_freezeframe_using_subcommand
    set -l cmd (__fish_freezeframe_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c freezeframe -n "__fish_freezeframe_needs_command" -s h -l help -d 'Print help'
complete -c freezeframe -n "__fish_freezeframe_needs_command" -s V -l version -d 'Print version'
complete -c freezeframe -n "__fish_freezeframe_needs_command" -f -a "commit" -d 'Create a new image from a container\'s changes'
complete -c freezeframe -n "__fish_freezeframe_needs_command" -f -a "nerdctl" -d 'Be nerdctl: commits are ours, everything else is the real one\'s'
complete -c freezeframe -n "__fish_freezeframe_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l address -d 'containerd\'s socket [env: CONTAINERD_ADDRESS] [default: /run/containerd/containerd.sock]' -r -F
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l host -d 'the same as --address' -r -F
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l namespace -d 'containerd\'s namespace [env: CONTAINERD_NAMESPACE] [default: default]' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l snapshotter -d 'without effect: the container\'s own snapshotter counts' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l storage-driver -d 'the same as --snapshotter' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l debug -d 'say what is done, and why, on standard error' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l debug-full -d 'the same, and all that the real nerdctl can say of itself' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -s a -l author -d 'the image\'s author [default: the base image\'s]' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -s m -l message -d 'a comment for the image\'s history' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -s c -l change -d 'apply Dockerfile instructions: CMD, ENTRYPOINT, ENV, LABEL and so on (repeatable)' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -s p -l pause -d 'freeze the container for a consistent copy; else files may be from different moments [default: true]' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l compression -d 'gzip or zstd [default: gzip]' -r -f -a "gzip\t''
zstd\t''"
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l format -d 'docker or oci [default: docker]' -r -f -a "docker\t''
oci\t''"
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l estargz -d 'an eStargz layer, by the real nerdctl' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l estargz-compression-level -d 'for --estargz' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l estargz-chunk-size -d 'for --estargz' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l estargz-min-chunk-size -d 'for --estargz' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l zstdchunked -d 'a zstd:chunked layer, by the real nerdctl' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l zstdchunked-compression-level -d 'for --zstdchunked' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l zstdchunked-chunk-size -d 'for --zstdchunked' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l report -d 'write a JSON report to this file, or to standard output (-) [env: FREEZEFRAME_REPORT]' -r -F
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -l max-pause -d 'how long a freeze may last, such as 200ms or 30s: needing more, the commit fails [env: FREEZEFRAME_MAX_PAUSE] [default: 4s]' -r -f
complete -c freezeframe -n "__fish_freezeframe_using_subcommand commit" -s h -l help -d 'Print help'
complete -c freezeframe -n "__fish_freezeframe_using_subcommand help; and not __fish_seen_subcommand_from commit nerdctl help" -f -a "commit" -d 'Create a new image from a container\'s changes'
complete -c freezeframe -n "__fish_freezeframe_using_subcommand help; and not __fish_seen_subcommand_from commit nerdctl help" -f -a "nerdctl" -d 'Be nerdctl: commits are ours, everything else is the real one\'s'
complete -c freezeframe -n "__fish_freezeframe_using_subcommand help; and not __fish_seen_subcommand_from commit nerdctl help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
