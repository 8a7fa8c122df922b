# Headings with times, and the tools that cargo builds, for the scripts that people run.
#
# shellcheck shell=bash

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' yellow='' plain=''
fi
# shellcheck disable=SC2034 # used by who sources this
readonly bold dim green red yellow plain

# step NAME COMMAND…: runs it under a heading, and tells how long it took. A failure ends the script, by `set -e`, which
# is why the command stands in no condition here: inside one, a function would go on after its first failure.
step() {
    current_step=$1 step_begun=$SECONDS
    shift
    printf '\n%s▸ %s%s\n' "$bold" "$current_step" "$plain"
    "$@"
    printf '%s  %d s%s\n' "$dim" $((SECONDS - step_begun)) "$plain"
    current_step=
}

# For the EXIT trap: says which step it was that failed, if one did.
explain_failure() {
    if [[ -n ${current_step:-} ]]; then
        printf '%s✗ %s failed after %d s%s\n' "$red" "$current_step" $((SECONDS - step_begun)) "$plain" >&2
    fi
}

# cargo_tool NAME VERSION: builds that version once, keeps it for all later runs, and puts it on the PATH.
cargo_tool() {
    local name=$1 version=$2
    local place=${XDG_CACHE_HOME:-$HOME/.cache}/mailward-tools/$name-$version
    if [[ ! -x $place/bin/$name ]]; then
        printf 'building %s %s, once (a few minutes) …\n' "$name" "$version"
        # Quick to build matters more than quick to run: it runs for seconds. Built aside and moved into place whole.
        rm -rf "$place.new"
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_TARGET_DIR=$place.new/target \
            cargo install --quiet --locked --version "$version" --root "$place.new" "$name" || return 1
        rm -rf "$place.new/target" "$place"
        mv "$place.new" "$place"
    fi
    PATH=$place/bin:$PATH
}

# Whichever cargo-nextest there is will do; where there is none, this one is built.
nextest() {
    command -v cargo-nextest >/dev/null || cargo_tool cargo-nextest 0.9.143
}
