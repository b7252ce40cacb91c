/* What `completion SHELL` prints. Each script asks the program itself, so it holds no
 * command and fits every version. */
#include <stdio.h>
#include <string.h>

#include "ui/complete.h"

/* bash breaks words at "=", ":" and "@": they are put together again, and what stands
 * before the break is taken off the candidates. Quotes are taken off without evaluating
 * anything that is typed. */
static const char bash_text[] = "_signbox_complete() {\n"
				"\tlocal i w before raw='' strip rest=${COMP_LINE:0:COMP_POINT}\n"
				"\tlocal -a words=() lines=()\n"
				"\tCOMPREPLY=()\n"
				"\tfor ((i = 0; i <= COMP_CWORD; i++)); do\n"
				"\t\tbefore=${rest%%[![:space:]]*}\n"
				"\t\trest=${rest#\"$before\"}\n"
				"\t\traw=${COMP_WORDS[i]}\n"
				"\t\t((i < COMP_CWORD)) || raw=$rest\n"
				"\t\trest=${rest#\"$raw\"}\n"
				"\t\tw=${raw//[\\'\\\"\\\\]/}\n"
				"\t\tif ((i == 0)) || [[ -n $before ]]; then words+=(\"$w\"); else "
				"words[${#words[@]} - 1]+=$w; fi\n"
				"\tdone\n"
				"\tw=${words[${#words[@]} - 1]}\n"
				"\tif [[ ${#raw} = 1 && $COMP_WORDBREAKS == *\"$raw\"* ]]; then "
				"strip=$w; else strip=${w%\"${raw//[\\'\\\"\\\\]/}\"}; fi\n"
				"\tmapfile -t lines < <(\"${words[0]/#\\~\\//$HOME/}\" __complete "
				"\"${words[@]:1}\" 2>/dev/null)\n"
				"\tcase ${lines[0]-} in\n"
				"\t:files*) compopt -o default ;;\n"
				"\t:dirs*) compopt -o dirnames ;;\n"
				"\t:words)\n"
				"\t\tfor w in \"${lines[@]:1}\"; do\n"
				"\t\t\tw=${w%%$'\\t'*}\n"
				"\t\t\tw=${w#\"$strip\"}\n"
				"\t\t\t[[ $raw == [\\'\\\"]* ]] || printf -v w %q \"$w\"\n"
				"\t\t\tCOMPREPLY+=(\"$w\")\n"
				"\t\tdone\n"
				"\t\t;;\n"
				"\tesac\n"
				"}\n";

static const char zsh_text[] = "_signbox_complete() {\n"
			       "\tlocal line front\n"
			       "\tlocal -a lines found\n"
			       "\tlines=(\"${(@f)$(\"${words[1]/#\\~\\//$HOME/}\" __complete "
			       "\"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
			       "\tfront=${lines[1]#* }\n"
			       "\tcase ${lines[1]} in\n"
			       "\t:files*) compset -p $#front; _files ;;\n"
			       "\t:dirs*) compset -p $#front; _files -/ ;;\n"
			       "\t:words)\n"
			       "\t\tfor line in \"${(@)lines[2,-1]}\"; do\n"
			       "\t\t\tfound+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
			       "\t\tdone\n"
			       "\t\t(( $#found )) && _describe -t values value found\n"
			       "\t\t;;\n"
			       "\tesac\n"
			       "}\n";

static const char fish_text[] =
	"function __signbox_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l word (commandline -ct)\n"
	"\twhile string match -qr '^\\w+=' -- \"$words[1]\"\n"
	"\t\tset -e words[1]\n"
	"\tend\n"
	"\tset words (string unescape -- $words | string replace -r '^~/' \"$HOME/\")\n"
	"\tset -l lines (command $words[1] __complete $words[2..-1] (string unescape -- \"$word\"; "
	"or echo \"$word\") 2>/dev/null)\n"
	"\tset -l front (string replace -r '^\\S+ ?' '' -- \"$lines[1]\")\n"
	"\tset -l typed (string sub -s (math 1 + (string length -- \"$front\")) -- \"$word\")\n"
	"\tswitch \"$lines[1]\"\n"
	"\t\tcase ':files*'\n"
	"\t\t\tprintf \"$front%s\\n\" (__fish_complete_path \"$typed\")\n"
	"\t\tcase ':dirs*'\n"
	"\t\t\tprintf \"$front%s\\n\" (__fish_complete_directories \"$typed\")\n"
	"\t\tcase ':words'\n"
	"\t\t\tprintf '%s\\n' $lines[2..-1]\n"
	"\tend\n"
	"end\n";

static void put_names(const char *const *names, const char *end)
{
	for (; *names; names++)
		printf(" %s", *names);
	fputs(end, stdout);
}

int complete_script(const char *shell, const char *const *names, struct err *e)
{
	shell = shell ? shell : "";
	if (strcmp(shell, "bash") == 0) {
		printf("# In ~/.bashrc: source <(%s completion bash)\n%scomplete -F "
		       "_signbox_complete",
		       *names, bash_text);
		put_names(names, "\n");
	} else if (strcmp(shell, "zsh") == 0) {
		fputs("#compdef", stdout);
		put_names(names, "\n");
		printf("# In ~/.zshrc, behind compinit: source <(%s completion zsh)\n%s"
		       "if [[ $zsh_eval_context[-1] == (loadautofunc|shfunc) ]]; then\n"
		       "\t_signbox_complete \"$@\"\n"
		       "else\n"
		       "\tcompdef _signbox_complete",
		       *names, zsh_text);
		put_names(names, "\nfi\n");
	} else if (strcmp(shell, "fish") == 0) {
		printf("# In ~/.config/fish/config.fish: %s completion fish | source\n%s"
		       "for program in",
		       *names, fish_text);
		put_names(names, "\n\tcomplete -c $program -f -a '(__signbox_complete)'\nend\n");
	} else {
		return err_set(e, ERR_USAGE, "completion needs a shell: bash, zsh or fish");
	}
	return 0;
}
