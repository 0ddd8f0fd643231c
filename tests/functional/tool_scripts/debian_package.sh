# Unpack a package of Debian, with every library it wants, into a folder; write starters in bin/.
# usage: sh -e debian_package.sh FOLDER PACKAGE RELEASE SUITE
folder=$1 package=$2 release=$3 suite=$4
mkdir -p "$folder/etc" "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/bin"
for name in "$release" "$suite"; do
    echo "deb http://deb.debian.org/debian $name main"
done > "$folder/etc/sources.list"
: > "$folder/status"

apt() {
    apt-get -q -o Dir::Etc::SourceList="$folder/etc/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$folder/lists" -o Dir::State::Status="$folder/status" \
        -o Dir::Cache="$folder/cache" -o Debug::NoLocking=1 -o APT::Install-Recommends=0 \
        -o APT::Sandbox::User= "$@"
}

apt update
apt install --yes --download-only -o APT::Keep-Downloaded-Packages=1 "$package/$suite"
for file in "$folder"/cache/archives/*.deb; do
    dpkg-deb --extract "$file" "$folder/files"
done
loader=$(find "$folder/files/usr" -name 'ld-linux*.so.*' -print -quit)
libraries=$(dirname "$(find "$folder/files/usr/lib" -name 'libc.so.6' -print -quit)")
dpkg-deb --contents "$folder"/cache/archives/"$package"_*.deb \
    | sed -n 's#.* \./usr/bin/##p' \
    | while read -r name; do
        [ -n "$name" ] || continue
        printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
            "$loader" "$libraries" "$folder/files/usr/bin/$name" > "$folder/bin/$name"
        chmod +x "$folder/bin/$name"
    done
rm -r "$folder/cache" "$folder/lists"
test -n "$(ls "$folder/bin")"
