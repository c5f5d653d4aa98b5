#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Make an installed folder whole, so that it runs on other machines, and an archive of it.  `make bundle` calls it.
#   BUILD=FOLDER bundle.sh FOLDER
# Its programs look for libraries in ../lib: all that they need go there, but for the C library, which is the machine's (the
# bundle's or a newer one), and CUDA's, which lie with the GPU's driver or its toolkit.
set -euo pipefail
bundle=$1
most=40000000 # bytes of the archive

tests() {
    mkdir -p "$bundle/tests"/{gpu,bench} "$bundle/lib"
    cp -r "$BUILD/bundle/tests/." "$bundle/tests"
    cp tests/gpu/check.sh "$bundle/tests/gpu"
    cp tests/bench/gpu*.py "$bundle/tests/bench"
    mkdir -p "$bundle/tests/reference"
    cp tests/reference/*.safetensors "$bundle/tests/reference"
}

# Paths of the libraries that the bundle's files ask for, the ones of others included.
needed() {
    find "$bundle/bin" "$bundle/tests" "$bundle/lib" -type f -perm -100 ! -name '*.sh' ! -name '*.py' -exec ldd {} + |
        sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u |
        grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv|ld-linux-[a-z0-9-]*|libcu[a-zA-Z_]*|libnv[a-zA-Z_]*)\.so\.[0-9.]*$'
}

# Each library under the name that it is asked for by, and its package's copyright.
libraries() {
    local path real package
    rm -f "$bundle"/lib/*.so.* # of another time: they would be found
    mkdir -p "$bundle/share/doc/armchair/libraries"
    needed | while read -r path; do
        real=$(readlink -f "$path")
        install -m 644 "$real" "$bundle/lib/$(basename "$path")"
        package=$({ dpkg-query -S "$real" || dpkg-query -S "${real#/usr}"; } 2>/dev/null | sed 's/[:,].*//') || true
        [ ! -e "/usr/share/doc/$package/copyright" ] ||
            cp "/usr/share/doc/$package/copyright" "$bundle/share/doc/armchair/libraries/$package"
    done
}

tests
[ ! -e "$bundle/lib/armchair/libarmchair_cuda.so" ] || strip --strip-unneeded "$bundle/lib/armchair/libarmchair_cuda.so"
libraries
tar -C "$(dirname "$bundle")" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$(basename "$bundle")" |
    zstd -q -19 -T0 -f -o "$bundle.tar.zst"
size=$(stat -c %s "$bundle.tar.zst")
echo "$bundle.tar.zst: $((size / 1000000)) MB, needs glibc $(find "$bundle/bin" "$bundle/lib" -type f -exec objdump -T {} + 2>/dev/null |
    grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1 | sed 's/.*_//') or newer"
[ -e "$bundle/lib/armchair/libarmchair_cuda.so" ] || echo "no CUDA object is in it: nvcc was not found"
[ "$size" -le $most ] || { echo "bundle.sh: more than $((most / 1000000)) MB" >&2; exit 1; }
