#!/bin/bash
# Every command of the guides in docs/images and of docs/debugging.md runs, and prints what
# is shown there.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
# shellcheck source=tests/containers/guide.sh
. "${BASH_SOURCE%/*}/guide.sh"

each_guide() {
	local f before=$RAN
	ONLY_PODMAN=0
	for f in docs/images/*.md; do
		guide "$1" "$f"
		# goes on with what that guide has made
		[ "$f" != docs/images/hsm.md ] || guide "$1" docs/debugging.md hsm
		clear_engine "$1"
	done
	echo "# $1: $((RAN - before)) commands run, $ONLY_PODMAN are for podman only"
}

for_engines each_guide
# a command that only podman has must run somewhere
case " $ENGINES " in *' podman '*) ;; *) echo '# podman is not tested: its own commands were not run' ;; esac

# the guides are of images that exist, and every image has one (a variant has that of its
# definition)
for n in $(images); do
	d=$("$BIN/ocibuild" show --expanded --json "$n" | jq -r '.definition // .image')
	ok "$n has a guide" \
		bash -c "[ -e docs/images/$n.md ] || [ -e docs/images/$d.md ] || [ -e docs/images/${n%-*}.md ]"
done

# the check itself
mkdir -p "$W/self/files" "$W/self/bin"
printf '# x\n```console\n$ echo a\na\n```\n```bash\nls\n```\n' >"$W/self.md"
like 'self-check: a fence of another kind is found' "$(splits "$W/self.md" "$W/self")" 'self.md:6: a fence'
run_command "$W/self/1.cmd" "$W/self/1.want" "$W/self/bin"
ok 'self-check: output that is there' [ $? = 0 ]
echo nothing-like-this >"$W/self/1.want"
run true
out='something' err=''
if shown "$W/self/1.want"; then r=1; else r=0; fi
ok 'self-check: output that is not there' [ "$r" = 0 ]
done_testing
