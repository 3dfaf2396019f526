# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What ci/start and ci/test share: what must be there, and the build. Sourced with `root` set.

: "${root:?}"

say() { printf '%s\n' "$*"; }
die() { local code=$1; shift; printf '%s: %s\n' "${0##*/}" "$*" >&2; exit "$code"; }

have_pc() { pkg-config --exists "$1" 2>/dev/null; }
have_py() { /usr/bin/python3 -c "import $1" 2>/dev/null || python3 -c "import $1" 2>/dev/null; }
have_c() { printf '#include <stdio.h>\n' | cc -x c -fsyntax-only -; }

# Each package of Debian and Ubuntu beside what is looked for, so that another system, or another way of
# installing, is as good. What is optional is installed when we may, and not missed when we may not.
needs='
gcc                     command -v cc
libc6-dev               have_c
meson                   command -v meson
ninja-build             command -v ninja
pkg-config              command -v pkg-config
libjansson-dev          have_pc jansson
libuv1-dev              have_pc libuv
libcriterion-dev        have_pc criterion
python3                 command -v python3
python3-pytest          have_py pytest
python3-pytest-xdist    have_py xdist
python3-pytest-timeout  have_py pytest_timeout
python3-hypothesis      have_py hypothesis
python3-rich            have_py rich
python3-jinja2          have_py jinja2
'
optional='
musl-tools              command -v musl-gcc
python3-yaml            have_py yaml
'

# missing LIST: the packages of LIST that are not there
missing() {
	local package check
	while read -r package check; do
		if [ -n "$package" ] && ! eval "$check" >/dev/null 2>&1; then
			printf '%s ' "$package"
		fi
	done <<<"$1"
}

install_missing() {
	local want extra
	want=$(missing "$needs")
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		[ -z "$want" ] || die 3 "needs: ${want% } (as root: apt-get install --no-install-recommends ${want% })"
		return 0
	fi
	extra=$(missing "$optional")
	[ -n "$want$extra" ] || return 0
	say "installing: $want$extra"
	# shellcheck disable=SC2086  # a list of words
	apt_get install $want$extra || { apt_get update && apt_get install $want$extra; } ||
		die 3 "apt-get could not install: $want$extra"
	want=$(missing "$needs")
	[ -z "$want" ] || die 3 "installed, and still not found: $want"
}

apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" \
		>>"$root/build/apt.log" 2>&1 </dev/null
}

# build DIR [MESON OPTION...]: configures if need be, and builds. A build folder that came here by moving or copying
# the tree is made anew; one that exists keeps its options where none are asked for.
build() {
	local dir=$1 log="$1/build.log"
	shift
	mkdir -p "$dir"
	exec 9>"$dir/.lock"
	flock 9 # two runs in one tree: the second waits
	configure "$dir" "$@"
	say "building ${dir##*/}"
	ninja -C "$dir" >"$log" 2>&1 9>&- </dev/null || {
		grep -vE '^\[[0-9]+/[0-9]+\] (Comp|Link|Gener)' "$log" | head -60
		die 3 "the build failed; all of its output: $log"
	}
	exec 9>&-
}

configure() {
	local dir=$1 log how
	shift
	if [ ! -f "$dir/meson-info/meson-info.json" ]; then
		how=(meson setup "$@" "$dir" "$root")
	elif [ "$(cat "$dir/.home" 2>/dev/null)" != "$dir" ]; then
		how=(meson setup --wipe "$@" "$dir" "$root")
	elif [ $# -gt 0 ] && [ "$(cat "$dir/.options" 2>/dev/null)" != "$*" ]; then
		how=(meson configure "$@" "$dir")
	else
		return 0
	fi
	say "configuring ${dir##*/}"
	log=$(mktemp) # not in the folder: --wipe empties that
	"${how[@]}" >"$log" 2>&1 9>&- </dev/null || {
		cat "$log"
		rm -f "$log"
		die 3 "meson could not configure; more in $dir/meson-logs/meson-log.txt"
	}
	sed -n '/^plumbline [0-9]/,/^Found ninja/{/^Found ninja/!p}' "$log"
	rm -f "$log"
	printf '%s\n' "$dir" >"$dir/.home"
	printf '%s\n' "$*" >"$dir/.options"
}

# The Python that the build found, with pytest and the rest.
find_python() {
	for python in /usr/bin/python3 python3; do
		if "$python" -c 'import pytest, xdist, pytest_timeout, hypothesis, rich, jinja2' 2>/dev/null; then
			return 0
		fi
	done
	die 3 "no python3 has pytest, xdist, pytest_timeout, hypothesis, rich and jinja2 together"
}
