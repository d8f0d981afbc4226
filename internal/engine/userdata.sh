#!/bin/sh
# Runs user data once, as the first boot of an EC2 instance does. Where the image
# has cloud-init, it is cloud-init that runs it, whatever form it has; where not,
# a script can be run all the same. The arguments are the file of the user data
# and the instance's id.
set -eu
data=$1 id=$2
if command -v cloud-init >/dev/null 2>&1; then
    seed=/var/lib/cloud/seed/nocloud config=/etc/cloud/cloud.cfg.d/99-goldsmith.cfg
    trap 'rm -rf "$seed" "$config"; rmdir /var/lib/cloud/seed 2>/dev/null || true' EXIT
    mkdir -p "$seed" "${config%/*}"
    cp "$data" "$seed/user-data"
    printf 'instance-id: %s\n' "$id" >"$seed/meta-data"
    # What an earlier boot found must not stand in the way, and no other source
    # may be waited for. The network is up already.
    printf 'datasource_list: [NoCloud, None]\nnetwork: {config: disabled}\n' >"$config"
    cloud-init clean >/dev/null 2>&1 || true
    status=0
    cloud-init init --local || status=$?
    cloud-init init || status=$?
    cloud-init modules --mode=config || status=$?
    cloud-init modules --mode=final || status=$?
    exit "$status"
fi
case $(head -c 2 "$data") in
'#!')
    chmod 0700 "$data"
    exec "$data"
    ;;
esac
echo "This user data is for cloud-init, which is not in the image." >&2
exit 99
