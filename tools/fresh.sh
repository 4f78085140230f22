#!/usr/bin/env bash
# Build a fresh Debian 12 with nothing but make, python3, python3-venv, git and certificates, clone
# this repository into it, and run 'make demo' and 'make test' there. Needs root and debootstrap.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
machine=${FRESH_DIR:-$(mktemp -d /var/tmp/modoptic-fresh.XXXXXX)}
[ "$(id -u)" = 0 ] || { echo "make fresh needs root (it builds a machine with debootstrap)"; exit 1; }
command -v debootstrap >/dev/null || { echo "make fresh needs debootstrap: apt install debootstrap"; exit 1; }
leave() {
    for mount in proc dev/shm dev sys; do umount -l "$machine/$mount" 2>/dev/null || true; done
    [ -n "${FRESH_DIR:-}" ] || rm -rf --one-file-system "$machine"
}
trap leave EXIT
echo "Fresh machine: debootstrap into $machine"
[ -e "$machine/etc/debian_version" ] || debootstrap --variant=minbase \
    --include=make,python3,python3-venv,git,ca-certificates bookworm "$machine" >/tmp/debootstrap.log 2>&1 ||
    { tail -20 /tmp/debootstrap.log; exit 1; }
mount -t proc proc "$machine/proc"; mount --rbind /dev "$machine/dev"; mount -t sysfs sys "$machine/sys"
cp -L /etc/resolv.conf /etc/hosts "$machine/etc/" 2>/dev/null || true
# the host's way to the package registries, if it has one of its own
[ -e /etc/pip.conf ] && cp /etc/pip.conf "$machine/etc/pip.conf"
cp -rL /etc/ssl/certs "$machine/etc/ssl/" 2>/dev/null || true
rm -rf "$machine/root/modoptic"
git clone -q "$root" "$machine/root/modoptic"
inside() { env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 chroot "$machine" /bin/sh -c "cd /root/modoptic && $1"; }
echo "Fresh machine: make demo"
start=$(date +%s)
inside 'setsid make demo >/tmp/demo.log 2>&1 & echo $! >/tmp/demo.pid; for i in $(seq 600); do grep -q "^Ready:" /tmp/demo.log && exit 0; kill -0 $(cat /tmp/demo.pid) 2>/dev/null || break; sleep 1; done; cat /tmp/demo.log; exit 1'
echo "Fresh machine: $(grep Ready "$machine/tmp/demo.log") after $(($(date +%s) - start)) s"
inside 'kill -INT -$(cat /tmp/demo.pid); for i in $(seq 20); do grep -qs "[-]m.modoptic" /proc/[0-9]*/cmdline || exit 0; sleep 0.5; done; echo "left behind after Ctrl-C:"; grep -ls "[-]m.modoptic" /proc/[0-9]*/cmdline; exit 1'
echo "Fresh machine: make demo ARGS=--once"
inside 'make demo ARGS=--once'
echo "Fresh machine: make test"
inside 'make test'
echo "Fresh machine: both commands work"
