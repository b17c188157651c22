//! `commit --help`: what freezeframe adds to nerdctl's text, and nerdctl 2.3's where there is no real one to ask.

/// nerdctl's flags of commit, and the words around them.
const FLAGS: &str = r#"Flags:
  -a, --author string                       Author (e.g., "nerdctl contributor <nerdctl-dev@example.com>")
  -c, --change stringArray                  Apply Dockerfile instruction to the created image (supported directives: [CMD, ENTRYPOINT])
      --compression string                  commit compression algorithm (zstd or gzip) (default "gzip")
      --estargz                             Convert the committed layer to eStargz for lazy pulling
      --estargz-chunk-size int              eStargz chunk size
      --estargz-compression-level int       eStargz compression level (1-9) (default 9)
      --estargz-min-chunk-size int          The minimal number of bytes of data must be written in one gzip stream
      --format string                       Format of the committed image (docker or oci) (default "docker")
  -h, --help                                help for commit
  -m, --message string                      Commit message
  -p, --pause                               Pause container during commit (default true)
      --zstdchunked                         Convert the committed layer to zstd:chunked for lazy pulling
      --zstdchunked-chunk-size int          zstd:chunked chunk size
      --zstdchunked-compression-level int   zstd:chunked compression level (default 3)

See also 'nerdctl --help' for the global flags such as '--namespace', '--snapshotter', and '--cgroup-manager'.
"#;

/// What freezeframe adds, after nerdctl's own text.
pub const ADDED: &str = "
freezeframe adds:
      --change stringArray                  Also ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR
      --max-pause duration                  How long a freeze may last (e.g., 200ms, 30s); needing more, the commit fails (default 4s)
      --report string                       Write a JSON report to this file, or to standard output (-)
See freezeframe(1) for its environment variables.
";

/// The help of the commit that is called by `name`: `commit` or `container commit`.
pub fn text(name: &str) -> String {
    format!(
        "Create a new image from a container's changes\n\nUsage: nerdctl {name} [flags] CONTAINER REPOSITORY[:TAG]\n\n\
         {FLAGS}{ADDED}"
    )
}
