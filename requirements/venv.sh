#!/bin/sh
# Makes .venv from a hashed lock, once: sh requirements/venv.sh serve|dev
# dev holds all of serve, so a venv of dev serves both. PYTHON names the interpreter.
set -eu

need=$1
venv=.venv
stamp=$venv/.made-from

fail() {
    echo "visavis: $1" >&2
    exit 1
}

# What a lock makes of this working tree: any change of it installs again.
state_of() {
    echo "$1 $(cat "requirements/$1.txt" pyproject.toml | sha256sum | cut -c1-64)"
}

# Says why an interpreter will not do; says nothing of one that will.
fault_of() {
    "$1" - 2>/dev/null <<'PYTHON' || echo "$1 does not run"
import importlib.util, pathlib, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
config = sysconfig.get_config_var
places = [config("LIBDIR") or "", "%s/%s" % (config("LIBDIR"), config("MULTIARCH")), sys.base_prefix + "/lib"]
if version not in ("3.11", "3.12"):
    print("%s is Python %s, but Triton's models need 3.11 or 3.12 (numpy 1 has no wheels for others)"
          % (sys.executable, version))
elif not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
    print("%s cannot make virtual environments: apt-get install python%s-venv" % (sys.executable, version))
elif not any((pathlib.Path(place) / ("libpython%s.so.1.0" % version)).is_file() for place in places):
    print("%s has no shared library: apt-get install libpython%s" % (sys.executable, version))
PYTHON
}

choose_python() {
    faults=
    for candidate in ${PYTHON:-python3.12 python3.11 python3}; do
        command -v "$candidate" >/dev/null || continue
        fault=$(fault_of "$candidate")
        if [ -z "$fault" ]; then
            echo "$candidate"
            return
        fi
        # The one that would do but for a package is worth telling most.
        case $fault in *apt-get*) faults=$fault ;; *) faults=${faults:-$fault} ;; esac
    done
    fail "${faults:-there is no Python: apt-get install python3 python3-venv libpython3.11, or make PYTHON=...}"
}

# pip has three lines for each of some hundred packages. Told are a count, what is large, and the time.
condensed() {
    seen=0
    while IFS= read -r line; do
        case $line in
        Collecting\ * | Processing\ *)
            seen=$((seen + 1))
            [ $((seen % 25)) -ne 0 ] || told "$seen packages looked up"
            ;;
        *Downloading\ *\([0-9][0-9]*.[0-9]\ MB\)*) told "downloading ${line##*Downloading }" ;;
        Installing\ *) told "installing $seen packages" ;;
        esac
    done
}

told() {
    echo "visavis:   after $(($(date +%s) - began)) s: $1"
}

install_locked() {
    began=$(date +%s)
    log=$venv/install.log
    echo "visavis: installing what requirements/$need.txt names; pip writes to $log"
    rm -f "$log.failed"
    { $pip --require-hashes -r "requirements/$need.txt" 2>&1 || : >"$log.failed"; } | tee "$log" | condensed
    if [ -e "$log.failed" ]; then
        tail -n 40 "$log" >&2
        fail "the packages could not be installed; the end of $log stands above"
    fi
}

for have in "$need" dev; do
    if [ -x $venv/bin/visavis ] && [ "$(cat $stamp 2>/dev/null)" = "$(state_of "$have")" ]; then
        exit 0
    fi
done

if ! $venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(choose_python)
    echo "visavis: making $venv with $("$python" --version); a few minutes the first time"
    "$python" -m venv --clear $venv
fi
rm -f $stamp
pip="$venv/bin/python -m pip --disable-pip-version-check --no-input install"
install_locked
$pip --quiet --no-deps --no-build-isolation -e .
state_of "$need" >$stamp
