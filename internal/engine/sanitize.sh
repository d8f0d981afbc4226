#!/bin/sh
# Takes out of an image what belongs to the one machine that it was built on.
# Amazon's script does the same (User Guide, "Security best practices for Image
# Builder"); a section is left out where its flag file lies in the working
# directory, whose name is the first argument.
set -u
work=$1
skip() { [ -e "$work/skip_cleanup_$1" ]; }
# Zero what is removed, so that deleted secrets do not stay in the free blocks.
wipe() { for f; do [ -f "$f" ] && { shred -zuf -n 1 "$f" 2>/dev/null || rm -f "$f"; }; done; return 0; }

if ! skip cloudinit_files; then
    rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem
    wipe /etc/sudoers.d/90-cloud-init-users /etc/hostname.cloud
fi

if ! skip instance_files; then
    : > /etc/machine-id
    rm -f /var/lib/dbus/machine-id
    wipe /etc/.pwd.lock /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
    rm -f /var/lib/dhcp/*.leases /var/lib/dhcp/*.lease /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease
    rm -rf /var/lib/systemd/network/* /var/lib/systemd/timers/stamp-*
    find /var/tmp -mindepth 1 -delete 2>/dev/null
    find /tmp -mindepth 1 -xdev -not -path "$work/skip_cleanup_*" -delete 2>/dev/null
fi

if ! skip ssh_files; then
    wipe /etc/ssh/ssh_host_*
    for home in /root /home/*; do
        wipe "$home/.ssh/authorized_keys" "$home/.ssh/known_hosts" "$home/.bash_history"
    done
fi

if ! skip instance_log_files; then
    journalctl --relinquish-var >/dev/null 2>&1
    rm -rf /var/log/journal/* /var/log/sa/* /var/log/sysstat/* /var/log/audit/*
    find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
    find /var/log -type f -exec truncate -s 0 {} +
fi

if ! skip toe_files; then
    rm -rf "$work"/TOE_*
fi

if ! skip ssm_log_files; then
    rm -rf /var/log/amazon/ssm
fi

# Package caches are of no use in an image.
if command -v apt-get >/dev/null 2>&1; then
    apt-get -q clean
    rm -f /var/cache/apt/*.bin
fi
for tool in dnf yum zypper; do
    command -v "$tool" >/dev/null 2>&1 && "$tool" -q clean all >/dev/null 2>&1
done
wipe "$work/perform_cleanup"
rm -f "$work"/skip_cleanup_*
sync
exit 0
