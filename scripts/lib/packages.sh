# Installs Debian packages that are missing, without letting any of them start a service.
#
# Source this file, then call `ensure_packages NAME…`. When everything is there it says nothing and takes a few
# milliseconds. Otherwise it prints one line, and the machine's services stay as they were: a `policy-rc.d` that
# forbids starting anything stands only while apt runs, and whatever stood there before is put back exactly.
#
# shellcheck shell=bash

POLICY_RC_D=/usr/sbin/policy-rc.d
_POLICY_ASIDE=$POLICY_RC_D.aside-for-mailward
_POLICY_MARK='mailward: no service starts while packages are installed'

# Prints the packages among "$@" that are not installed, one a line.
missing_packages() {
    local package installed
    installed=$(dpkg-query --show --showformat='${Package} ${db:Status-Status} \n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        grep -qxF "$package installed " <<<"$installed" || printf '%s\n' "$package"
    done
}

# Runs "$@" as root: directly, or through sudo.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        printf "error: '%s' needs root, and there is no sudo\n" "$*" >&2
        printf 'hint: run this script as root, or install sudo\n' >&2
        return 1
    fi
}

# Makes sure that every package named is installed. Fails with apt's own words when one cannot be.
ensure_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        printf 'error: these packages are missing: %s\n' "${missing[*]}" >&2
        printf 'hint: this is not a Debian machine; install their like by hand\n' >&2
        return 1
    fi
    printf 'installing %s (no service is started) …\n' "${missing[*]}" >&2
    # A subshell, so that its traps end with it, whatever traps the caller has.
    (_install_without_services "${missing[@]}")
}

_install_without_services() {
    local scratch
    scratch=$(mktemp -d)
    # An interrupt ends apt first (it is in the same process group); then the EXIT trap puts everything back.
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # shellcheck disable=SC2064 # the name is meant to be expanded now
    trap "_restore_policy '$scratch'; rm -rf '$scratch'" EXIT

    # One at a time: a second run must not take the policy away from under the first.
    exec 9<"${POLICY_RC_D%/*}"
    flock 9
    _forbid_services "$scratch" || return 1

    # Descriptor 9 is closed for apt, so that nothing it leaves running could hold the lock.
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
    if ! { as_root "${apt[@]}" update && as_root "${apt[@]}" install --no-install-recommends "$@"; } \
        >"$scratch/log" 2>&1 </dev/null 9<&-; then
        printf 'error: apt could not install %s\n' "$*" >&2
        tail -n 20 "$scratch/log" >&2
        return 1
    fi
}

# Puts a policy that forbids every service in place, and the one that stood there aside.
_forbid_services() {
    # Our own one, or one already aside, was left by a run that was killed: what is aside is the machine's own.
    if ! grep -qs "$_POLICY_MARK" "$POLICY_RC_D" && [[ -e $POLICY_RC_D || -L $POLICY_RC_D ]]; then
        # Moved, not copied: owner, mode, times and links come back as they were.
        as_root mv --no-target-directory "$POLICY_RC_D" "$_POLICY_ASIDE" || return 1
    fi
    touch "$1/forbidden"
    printf '#!/bin/sh\n# %s\nexit 101\n' "$_POLICY_MARK" >"$1/policy-rc.d"
    as_root install --owner root --group root --mode 755 "$1/policy-rc.d" "$POLICY_RC_D"
}

_restore_policy() {
    if [[ -e $_POLICY_ASIDE || -L $_POLICY_ASIDE ]]; then
        as_root mv --force --no-target-directory "$_POLICY_ASIDE" "$POLICY_RC_D"
    elif [[ -e $1/forbidden ]]; then
        as_root rm -f "$POLICY_RC_D"
    fi
}
