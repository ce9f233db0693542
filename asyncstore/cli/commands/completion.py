"""``asyncstore completion``: scripts that complete asyncstore's words in bash, zsh and fish.

A script asks ``asyncstore __complete`` (complete.py) for every line, and finds files, directories and hosts itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncstore.cli.exits import EXIT_OK
from asyncstore.cli.options import command_table as cmd
from asyncstore.cli.standard_output import put

if TYPE_CHECKING:
    from asyncstore.cli.options.table import Parsed

_BASH = r"""# bash completion of asyncstore, made by: asyncstore completion bash
_asyncstore() {
    local part=${COMP_WORDS[COMP_CWORD]} kind='' number=1 word before line
    COMPREPLY=()
    {
        read -r kind number
        printf -v word %s "${COMP_WORDS[@]:COMP_CWORD + 1 - number:number}"
        case $kind in
            words) while IFS= read -r line; do COMPREPLY+=("$line"); done ;;
            file | directory | hostname)
                [[ $kind == hostname ]] || compopt -o filenames 2>/dev/null
                while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -A "$kind" -- "$word") ;;
        esac
    } < <(command asyncstore __complete bash "$COMP_LINE" "${COMP_WORDS[@]:0:COMP_CWORD + 1}" 2>/dev/null)
    # What stands before the last break of readline's (= or :), and the break itself, must not be repeated.
    before=${word%"${part#[=:]}"}
    if [[ -n $before ]]; then COMPREPLY=("${COMPREPLY[@]#"$before"}"); fi
}

complete -F _asyncstore asyncstore"""

_ZSH = r"""#compdef asyncstore
# zsh completion of asyncstore, made by: asyncstore completion zsh
_asyncstore() {
    local -a offered
    offered=("${(@f)$(command asyncstore __complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
    case $offered[1] in
        (file) _files ;;
        (directory) _files -/ ;;
        (hostname) _hosts ;;
        (words) shift offered; _describe word offered ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _asyncstore "$@"
else
    compdef _asyncstore asyncstore
fi"""

_FISH = r"""# fish completion of asyncstore, made by: asyncstore completion fish
function __asyncstore_complete
    set -l offered (command asyncstore __complete fish (commandline -opc) (commandline -ct) 2>/dev/null)
    switch "$offered[1]"
        case file
            __fish_complete_path (commandline -ct)
        case directory
            __fish_complete_directories (commandline -ct)
        case hostname
            __fish_print_hostnames
        case words
            string join \n -- $offered[2..-1]
    end
end

complete -c asyncstore -f -a '(__asyncstore_complete)'"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(parsed: Parsed) -> int:
    """Run the command and return its exit code."""
    put(_SCRIPTS[parsed[cmd.SHELL]])
    return EXIT_OK
