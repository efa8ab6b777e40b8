#!/bin/sh
# Installs what Fulcrum needs to be built and tested on Debian 12. Quick when all is there; run as
# root. Nothing that it installs is started. `tools/setup.sh image` also installs what builds the
# appliance image and boots it in a virtual machine.
set -eu

build="gcc libc6-dev pkg-config libdpdk-dev dpdk clang-14 libclang-14-dev ca-certificates zstd"
testbed="iproute2 ethtool nftables procps tcpdump curl openssl openssh-client openssh-server
    nginx-light socat dnsmasq-base bind9-dnsutils vsftpd python3-aiosmtpd iputils-ping prometheus
    python3-venv strace samba smbclient nfs-ganesha nfs-ganesha-vfs libnfs-utils rpcbind
    testssl.sh python3-websockets nghttp2-client nghttp2-server python3-h2 haproxy chromium dpdk-dev"
image="dosfstools e2fsprogs gdisk genisoimage mtools grub-pc-bin systemd-boot-efi qemu-utils
    qemu-system-x86 ovmf linux-source-6.1 make cpio flex bison bc libelf-dev libssl-dev sbsigntool"
rust="rustc-web cargo-web rust-web-clippy rustfmt-web"

missing() {
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

# Whether there is a toolchain, with its formatter and linter, that is not older than the
# workspace asks for.
rust_is_there() {
    PATH="$PATH:${HOME:-/root}/.cargo/bin"
    root=$(dirname "$0")/..
    oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    found=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$found" ] && cargo --version >/dev/null 2>&1 &&
        cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 &&
        [ "$(printf '%s\n' "$oldest" "$found" | sort -V | head -n 1)" = "$oldest" ]
}

[ "${1-}" = image ] || image=
# shellcheck disable=SC2086
packages=$(missing $build $testbed $image)
if ! rust_is_there; then
    # shellcheck disable=SC2086
    packages="$packages $(missing $rust)"
fi
# shellcheck disable=SC2086,SC2116
packages=$(echo $packages)
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "tools/setup.sh: run as root, to install: $packages" >&2
    exit 1
fi

# Packages ask this script whether they may start their service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "tools/setup.sh: installing $packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $packages
rust_is_there || {
    echo "tools/setup.sh: no Rust toolchain of the version that Cargo.toml asks for" >&2
    exit 1
}
