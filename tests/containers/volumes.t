#!/bin/bash
# Backup, restore and reset of the service's volume: every command of docs/backup.md, after
# those of docs/images/hsm.md that it goes on from.
# shellcheck source=tests/containers/lib.sh
. "${BASH_SOURCE%/*}/lib.sh"
# shellcheck source=tests/containers/guide.sh
. "${BASH_SOURCE%/*}/guide.sh"

volumes() {
	guide "$1" docs/images/hsm.md
	guide "$1" docs/backup.md hsm
	clear_engine "$1"
}
for_engines volumes
echo "# $RAN commands run"
done_testing
