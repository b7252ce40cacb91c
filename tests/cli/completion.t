#!/bin/bash
# Completion: what `__complete` answers for the tables of all programs, and the scripts in
# bash, zsh and fish, by their own functions and by the Tab key on a terminal.
# shellcheck disable=SC2319 # ok takes the status of the condition before it
# shellcheck disable=SC2016,SC2088 # the shells that are tested expand these
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
export HOME=$tmp XDG_CONFIG_HOME=$tmp/.config XDG_DATA_HOME=$tmp LANG=C.UTF-8 TMUX_TMPDIR=$tmp
SOCK=complete
at_end() { tmux -L $SOCK kill-server 2>/dev/null; }

mkdir bin dir.d
for a in $("$BIN/signbox" --list); do ln -s "$BIN/signbox" "bin/$a"; done
ln -s "$BIN/signbox" "$BIN/ocibuild" "$BIN/hsmd" bin/
PATH=$tmp/bin:$PATH
for c in prod-eu prod-us 'with space'; do nats context add "$c" --server nats://127.0.0.1:4 >/dev/null; done
: >file.txt

gives() { # NAME WANT PROGRAM WORD…: the answer's lines, without help and with "," between
	local name=$1 want=$2 got
	shift 2
	got=$("$1" __complete "${@:2}" 2>&1 | cut -f1 | paste -sd,)
	[ "$got" = "$want" ] || echo "got $got" >log
	[ "$got" = "$want" ]
	ok $? "$name"
	rm -f log
}

# ---- answers
gives 'applets' ':words,nats,nats-config,nats-top' signbox nat
gives 'an applet behind signbox' ':words,on,off' signbox hsm config unattended-boot o
gives 'shells' ':words,bash,zsh,fish' signbox completion ''
gives 'shells of a program' ':words,zsh' ocibuild completion z
gives 'help of applets' ':words,nk' signbox help nk
gives 'a command' ':words,context' nats cont
gives 'its alias, when that is typed' ':words,ctx' nats ctx
gives 'what follows an alias' ':words,select' nats ctx sel
gives 'a word of three' ':words,connection,consumer' nats server check con
gives 'behind help' ':words,server,service' nats help se
gives 'no commands behind an operand' ':words' nats pub subject ''
gives 'options of command and program' ':words,--count,--connection-name,--creds,--colors,--context' nats pub --c
gives 'options that take nothing have --no-' ':words,--no-json,--no-tlsfirst,--no-trace,--no-context,--no-no-context' nats rtt --no
gives 'options between words' ':words,select' nats --server x context sel
gives 'options of the group between words' ':words,connection,consumer' nats server check --format json con
gives 'behind -- only operands' ':words' nats pub -- --c
gives 'an option that is only refused is not offered' ':words,--passphrase-file,--passphrase-fd' hsm unlock --passphrase
gives 'names of contexts' ':words,prod-eu,prod-us' nats pub --context pr
gives 'the same behind =' ':words,--context=prod-eu,--context=prod-us' nats pub --context=pr
gives 'as operands' ':words,prod-eu,prod-us,with space' nats context select ''
gives 'not for a new one' ':words' nats context add ''
gives 'the second operand of copy is new' ':words' nats context copy prod-eu ''
gives 'kinds of NKeys' ':words,cluster,curve' nats auth nkey gen c
gives 'files as values' ':files ' hsm sign --signature '' --creds ''
gives 'files behind =' ':files --creds=' nats pub --creds=x
gives 'files behind @' ':files @' hsm identity pin @x
gives 'a folder' ':dirs ' hsm --context x
gives 'files as operands' ':files ' hsm sign key ''
gives 'no more operands than there can be' ':words' hsm sign key file ''
gives 'choices of an option' ':words,--audit=batched' hsm key gen k --audit=b
gives 'choices with letters in one word' ':files ' hsm random -o ''
gives 'an unknown command' ':words' nats nothing ''
gives 'an unknown option' ':words' nats pub --nothing=
gives 'no word at all' ':words' nk __complete
gives "nk's flags" ':words,-pubin,-pubout' nk -pub
gives '… with two dashes' ':words,--pubin,--pubout' nk --pub
gives '… kinds' ':words,-gen=user' nk -gen=u
gives '… files' ':files ' nk -inkey ''
gives "nats-top's contexts" ':words,prod-eu,prod-us' nats-top -context p
gives "nats-top's sorts" ':words,bytes_to,bytes_from' nats-top -sort bytes
gives 'nats-config has options only' ':words,--tls-cert,--tls-key,--tls-ca' nats-config --tls
gives 'hsmd' ':words,--config' hsmd run --c
[ ! -e "$tmp/.config/nats/nsc" ] && [ ! -e "$tmp/nats" ]
ok $? 'nothing is written by asking'
gives 'nsc without a store' ':words' nsc describe account ''
[ ! -e "$tmp/.config/nats/nsc" ] && [ ! -e "$tmp/nats" ]
ok $? 'nor by asking nsc'
nsc init -n demo >/dev/null 2>&1 && nsc add account -n two >/dev/null 2>&1 && nsc add user -n u2 >/dev/null 2>&1
gives 'accounts of the store' ':words,SYS,demo,two' nsc describe account ''
gives 'users of the account in use' ':words,u2' nsc describe user ''
gives 'users of another account' ':words,sys' nsc describe user -a SYS --name ''
gives 'operators' ':words,demo' nsc env -o ''
gives 'creds are for users' ':words,demo' nsc generate creds --account demo --name d
printf '{"url":1}' >"$tmp/.config/nats/context/bad"$'\n'"name.json"
gives 'a name with a line end is not offered' ':words,prod-eu,prod-us,with space' nats context info ''

# ---- every command and every option of the tables is offered
python3 - "$BIN/ocibuild" "$BIN/hsmd" hsm mesh nats nsc nats-config >out 2>err <<'PY'
import json, subprocess, sys
bad = asked = 0
def run(*a):
    return subprocess.run(a, capture_output=True, text=True, timeout=30).stdout
def offers(prog, words, word, what):
    global bad, asked
    asked += 1
    lines = run(prog, "__complete", *words, word).split("\n")
    if lines[0] != ":words" or what not in [l.split("\t")[0] for l in lines[1:]]:
        bad += 1
        print(f"{prog} {words} {word}: no {what}: {lines[:9]}")
for prog in sys.argv[1:]:
    table = json.loads(run(prog, "--help-json"))
    for c in table["commands"]:
        words = [w.split("|")[0] for w in c["path"].split()]
        for i, w in enumerate(words):
            offers(prog, words[:i], w[:1] if w[0] != "-" else "", w)
        alias = [w.split("|")[-1] for w in c["path"].split()]
        opts = [o["name"] for o in c["options"] + table["options"] if o["arg"] != "-"]
        listed = [l.split("\t")[0] for l in run(prog, "__complete", *alias, "--").split("\n")]
        for o in opts + ["help"]:
            asked += 1
            if "--" + o not in listed:
                bad += 1
                print(f"{prog} {alias}: no --{o}")
print(f"# {asked} asked")
sys.exit(1 if bad or asked < 1000 else 0)
PY
ok $? "every command and option is offered ($(tail -1 out))"

# ---- scripts
for s in bash zsh fish; do
	signbox completion $s >c.$s && $s -n c.$s
	ok $? "$s reads its script"
done
shellcheck -s bash -e SC2207 c.bash >out
ok $? 'shellcheck has nothing to say'
signbox completion ksh >out 2>err
[ $? = 2 ] && [ ! -s out ] && [ "$(cat err)" = 'signbox: completion needs a shell: bash, zsh or fish' ]
ok $? 'another shell is refused in one line'
nats completion >out 2>err
[ $? = 1 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ]
ok $? 'and no shell'
signbox completion bash >/dev/full 2>err
[ $? = 1 ] && [ "$(wc -l <err)" = 1 ]
ok $? 'a full disk is an error'
[ "$(bash -c '. ./c.bash; complete -p hsm mesh nats nats-config nats-top nk nsc pause signbox' | sed 's/.* //' | paste -sd,)" = \
	hsm,mesh,nats,nats-config,nats-top,nk,nsc,pause,signbox ]
ok $? 'complete -p has all names'
nats completion bash | bash -c '. /dev/stdin; complete -p nats && ! complete -p hsm' >out 2>err
ok $? "a program's own script is for its name"

# bash: the words as bash breaks them, the line, and what the function answers
bash_gives() { # NAME WANT LINE WORD…
	local name=$1 want=$2
	LINE=$3 bash -c '. ./c.bash
		compopt() { echo "compopt $*"; }
		COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_signbox_complete
		printf "[%s]" "${COMPREPLY[@]}"' - "${@:4}" >out 2>err
	[ "$(cat out)" = "$want" ] && [ ! -s err ]
	ok $? "bash: $name"
}
bash_gives 'a command' '[context]' 'nats conte' nats conte
bash_gives 'an empty word' '[connection][consumer][credential]' 'nats server check c' nats server check c
bash_gives 'behind =' '[prod-eu][prod-us]' 'nats pub --context=pr' nats pub --context = pr
bash_gives 'at =' '[prod-eu][prod-us][with\ space]' 'nats pub --context=' nats pub --context =
bash_gives 'words that colons break' '[prod-eu][prod-us]' 'nats -s nats://h:4222 pub --context pr' nats -s nats : //h : 4222 pub --context pr
bash_gives 'quotes' '[with space]' "nats pub --context 'wi" nats pub --context "'wi"
bash_gives 'files are left to bash' $'compopt -o default\n[]' 'hsm sign k x' hsm sign k x
bash_gives 'folders too' $'compopt -o dirnames\n[]' 'hsm --context d' hsm --context d
bash_gives 'nothing is evaluated' '[]' 'nats pub $(touch evil) `touch evil` x' nats pub '$(touch evil)' '`touch evil`' x
[ ! -e evil ]
ok $? 'bash: indeed'
bash_gives 'signbox and an applet' '[-gen]' 'signbox nk -g' signbox nk -g
printf '#!/bin/sh\necho wrong\n' >bin/other && chmod +x bin/other
bash_gives 'a program that does not know __complete' '[]' 'other x' other x
bash_gives 'a path' '[unlock]' "~/bin/hsm unl" '~/bin/hsm' unl

# fish: its own engine
fish_gives() { # NAME WANT LINE
	fish --no-config -c 'source c.fish; complete -C $argv[1]' -- "$3" >out 2>err
	[ "$(cut -f1 out | paste -sd,)" = "$2" ] && [ ! -s err ]
	ok $? "fish: $1"
}
fish_gives 'a command' context 'nats conte'
grep -q "$(printf '\tadd, copy')" out
ok $? 'fish: with its help'
fish_gives 'behind =' --context=prod-eu,--context=prod-us 'nats pub --context=pr'
fish_gives 'a value' prod-eu,prod-us,with\ space 'nats pub --context '
fish_gives 'a file' file.txt 'hsm sign k file'
fish_gives 'a file behind =' --creds=file.txt 'nats pub --creds=file'
fish_gives 'a file behind @' @file.txt 'hsm identity pin @file'
fish_gives 'a folder' dir.d/ 'hsm --context d'
fish_gives 'signbox and an applet' -gen 'signbox nk -g'
fish_gives 'a path and a variable' unlock "A=b ~/bin/hsm unl"

# ---- the Tab key
keys() { tmux -L $SOCK send-keys "$@"; }
screen() { tmux -L $SOCK capture-pane -p; }
sees() { # TEXT: it comes within ten seconds
	local i
	for ((i = 0; i < 100; i++)); do
		screen >log
		grep -qF -- "$1" log && return 0
		sleep 0.1
	done
	return 1
}
tab() { # NAME TYPED WANT: Tab once, the line as it is then
	keys -l -- "$2"
	sees "$2"
	keys Tab
	sees "$3"
	ok $? "$shell, Tab: $1"
	# an empty line again, before more is typed
	local i
	for ((i = 0; i < 50; i++)); do
		keys C-e C-u C-l
		sleep 0.1
		[ "$(screen | tr -d '[:space:]')" = 'ready>' ] && return
	done
	bad_line=1
}
start() { # SHELL COMMAND…: with a tmux of its own
	tmux -L $SOCK kill-server 2>/dev/null
	shell=$1 SOCK=${SOCK}x
	shift
	tmux -L $SOCK -f /dev/null new-session -d -x 100 -y 30 env PS1='ready> ' "$@"
	sees 'ready>'
	ok $? "$shell starts on a terminal"
}
tabs() {
	tab 'a command' 'nats conte' 'nats context'
	tab 'through words and options' 'nats -s nats://h:4222 server check conn' 'server check connection'
	tab 'a context' 'nats rtt --context wi' "$1"
	tab 'behind =' 'nats rtt --context=prod-e' '--context=prod-eu'
	tab 'a file' 'hsm sign key file' 'hsm sign key file.txt'
	tab 'a file behind =' 'nats pub --creds=file' '--creds=file.txt'
	tab 'a folder' 'hsm --context di' 'hsm --context dir.d/'
	tab 'an applet' 'signbox nats-t' 'signbox nats-top'
}
printf 'PS1="ready> "\n' >>c.bash
start bash bash --noprofile --rcfile c.bash -i
tabs 'with\ space'
printf 'autoload -Uz compinit; compinit -u -D; source ~/c.zsh\n' >.zshrc
start zsh zsh -i
tabs 'with\ space'
mkdir -p .config/fish
printf 'source ~/c.fish\nfunction fish_prompt; echo -n "ready> "; end\nfunction fish_greeting; end\n' >.config/fish/config.fish
start fish fish -i
tabs 'with\ space'
ok "${bad_line:-0}" 'each line could be taken back'
# zsh: the same file in a folder of functions
mkdir functions && cp c.zsh functions/_signbox
printf 'fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u -D\n' >.zshrc
start 'zsh with fpath' zsh -i
tab 'the first' 'nats conte' 'nats context'
tab 'the second' 'hsm unl' 'hsm unlock'
echo "1..$n"
