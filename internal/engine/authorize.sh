#!/bin/sh
# Puts the public key of the infrastructure's key pair, from the standard input,
# into the authorised keys of the instance's login user ("add"), or takes it out
# again ("remove"). The second argument is a file outside the volume that keeps
# where it was put.
set -eu
action=$1 note=$2
IFS= read -r key
login() {
    named=
    [ -r /etc/cloud/cloud.cfg ] && named=$(awk '/^[[:space:]]*default_user:/ { on = 1; next } on && /^[[:space:]]*name:/ { print $2; exit }' /etc/cloud/cloud.cfg)
    # What cloud-init would create, and what distributions call theirs.
    for user in $named admin ubuntu ec2-user debian fedora almalinux rocky centos opensuse root; do
        home=$(awk -F: -v user="$user" '$1 == user { print $6 }' /etc/passwd)
        if [ -n "$home" ] && [ -d "$home" ]; then
            echo "$user:$home"
            return
        fi
    done
}
case $action in
add)
    found=$(login)
    user=${found%%:*} home=${found#*:}
    [ -n "$user" ] || { echo "there is no user to log in as" >&2; exit 1; }
    file=$home/.ssh/authorized_keys
    umask 077
    [ -d "$home/.ssh" ] || { mkdir "$home/.ssh"; chown "$user:" "$home/.ssh"; }
    if ! grep -qxF -- "$key" "$file" 2>/dev/null; then
        [ -e "$file" ] || made=yes
        # A file whose last line has no end must not swallow the key.
        [ ! -s "$file" ] || [ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
        printf '%s\n' "$key" >>"$file"
        [ -z "${made:-}" ] || chown "$user:" "$file"
        printf '%s\n' "$file" >"$note"
    else
        echo >"$note" # the parent image has it: it stays
    fi
    echo "$user"
    ;;
remove)
    if [ -r "$note" ]; then
        IFS= read -r file <"$note"
    else # the volume is that of an earlier build, whose note is gone
        found=$(login)
        file=${found#*:}/.ssh/authorized_keys
    fi
    [ -f "$file" ] || exit 0
    rest=$(mktemp)
    grep -vxF -- "$key" "$file" >"$rest" || true
    # In place: owner, mode and links stay.
    cat "$rest" >"$file"
    rm -f "$rest"
    [ -s "$file" ] || rm -f "$file"
    ;;
esac
