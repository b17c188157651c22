# Starts containerd where only a unified cgroup hierarchy is to be seen. $1: its folder.
# The mount namespace is private, and copies what is mounted for other daemons too:
# held here, their disks could not be unmounted.
folder=$1
shift
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
others=$(awk -v own="$folder" '/\/freezeframe-test\./ && index($5, own) != 1 { print $5 }' /proc/self/mountinfo)
for mount in $others; do umount --lazy "$mount" || true; done
exec containerd "$@"
