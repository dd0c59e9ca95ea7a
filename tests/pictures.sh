#!/bin/sh
# Pictures of the printable view, for the eye: on a screen in light and dark, on a phone, and as printed sheets.
#
# Usage: tests/pictures.sh [DIR]      (the demonstration must run: `make demo`)
# Needs: chromium and pdftoppm (Debian: chromium, poppler-utils). Nothing else of the project does.
set -eu

out=${1:-pictures}
demo=${CAREWEAVE_DEMO:-.demo}
for program in chromium pdftoppm pdfinfo; do
  command -v "$program" >/dev/null || { echo "pictures: $program is missing (Debian: chromium, poppler-utils)" >&2; exit 1; }
done
[ -x "$demo/bin/careweave" ] || { echo "pictures: no demonstration in $demo; run make demo first" >&2; exit 1; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
browser=$(mktemp -d)
trap 'rm -rf "$browser"' EXIT

# page PROFILE NAME ARGUMENT...: a view as HTML; 3 is a view with a source missing, which is worth a picture as well.
page() {
  profile=$1 name=$2; shift 2
  code=0
  CAREWEAVE_PROFILE="$demo/staff/$profile" "$demo/bin/careweave" view "$@" --yes -o html >"$out/$name.html" || code=$?
  case $code in 0 | 3) ;; *) echo "pictures: view of $name ended with $code" >&2; exit 1 ;; esac
}

# A page within a frame as wide as a phone: a browser window itself cannot be that narrow.
phone() {
  printf '<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe src="%s.html" style="width:390px;height:3000px;border:0"></iframe>' "$1" >"$browser/phone.html"
  cp "$out/$1.html" "$browser/$1.html"
}

shoot() {
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$browser/profile" "$@" >/dev/null 2>&1
}

pictures() {
  name=$1 address="file://$out/$1.html"
  shoot --window-size=1360,3000 --screenshot="$out/$name-light.png" "$address"
  shoot --window-size=1360,3000 --blink-settings=preferredColorScheme=0 --screenshot="$out/$name-dark.png" "$address"
  phone "$name"
  shoot --window-size=500,3000 --screenshot="$out/$name-phone.png" "file://$browser/phone.html"
  shoot --no-pdf-header-footer --print-to-pdf="$out/$name.pdf" "$address"
  rm -f "$out/$name"-sheet-*.png
  pdftoppm -r 80 -png -l 12 "$out/$name.pdf" "$out/$name-sheet"
  echo "pictures: $name, $(pdfinfo "$out/$name.pdf" | awk '/^Pages/ {print $2}') sheets"
}

page Y91001-gp ada 9990010013
pictures ada
page 901-sw ada-social-worker 9990010013
pictures ada-social-worker

# The person with 3,000 entries: for speed on a screen and for page breaks.
long=$(awk -F '\t' '$9 == "long-history" { print $1 }' "$demo/people.tsv")
page Y91001-gp long "$long"
pictures long
echo "pictures: in $out"
