"""The completion scripts of the three shells, made from the described commands.

Each script has a table, a walk over the words before the cursor, and the offers for each hint (completion.py). The
table is a function that gives the values that follow a word of a command.

Names of files, hosts and peers are data: no shell may expand, split or run one, neither when it is offered nor when the
completed line runs. For bash, names of peers are quoted here, and bash quotes names of files itself. zsh and fish quote
all that they are offered. Names of peers with control characters or escapes of TOML are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PEERS = (
    'head -c 1048576 < "$config" | sed -n'
    r""" -e 's/^[[:blank:]]*\[peers\.\([[:alnum:]_-]\{1,\}\)\].*/\1/p'"""
    r""" -e 's/^[[:blank:]]*\[peers\."\([^"\\[:cntrl:]]\{1,\}\)"\].*/\1/p'"""
    r""" -e "s/^[[:blank:]]*\[peers\.'\([^'[:cntrl:]]\{1,\}\)'\].*/\1/p" """
).rstrip()
"""Prints the names of the peers in a configuration file, one a line."""


class Word(NamedTuple):
    """An option's name, which can be offered.

    Attributes:
        name: the word.
        values: the hints of the values that follow it.
        text: what it does.
    """

    name: str
    values: tuple[str, ...]
    text: str


class Described(NamedTuple):
    """A command as the scripts know it.

    Attributes:
        name: the word after ``asyncstore``.
        text: what it does.
        words: its options' names.
        parameters: the hints of its parameters in their order.
        repeats: whether the last of them takes all remaining words.
        peer: the option that stands for the first two parameters; empty if there is none.
    """

    name: str
    text: str
    words: tuple[Word, ...]
    parameters: tuple[str, ...]
    repeats: bool
    peer: str


def bash(commands: Sequence[Described]) -> str:
    """The script for bash, which does not need the package bash-completion."""
    return _filled(_BASH, COMMANDS=" ".join(command.name for command in commands), CASES="\n".join(_bash(commands)))


def zsh(commands: Sequence[Described]) -> str:
    """The script for zsh."""
    names = [_quoted(f"{command.name}:{command.text}") for command in commands]
    return _filled(_ZSH, COMMANDS=" ".join(names), CASES="\n".join(_zsh(commands)))


def fish(commands: Sequence[Described]) -> str:
    """The script for fish."""
    names = [f"        echo {_fish_quoted(command.name)}\\t{_fish_quoted(command.text)}" for command in commands]
    return _filled(_FISH, COMMANDS="\n".join(names), CASES="\n".join(_fish(commands)))


def _filled(script: str, **parts: str) -> str:
    """The script with its parts in their places."""
    return re.sub(r"@([A-Z]+)@", lambda place: {"PEERS": _PEERS, **parts}[place[1]], script)


def _bash(commands: Sequence[Described]) -> Iterator[str]:
    for command in commands:
        yield f"        {command.name})"
        yield f"            options={_quoted(' '.join(word.name for word in command.words))}"
        yield f"            parameters=({_hints(command)}) repeats={int(command.repeats)} peer={_quoted(command.peer)}"
        yield '            case "$1" in'
        for names, hints in _alike(command):
            yield f"                {'|'.join(map(_quoted, names))}) values=({hints}) ;;"
        yield "            esac"
        yield "            ;;"


def _zsh(commands: Sequence[Described]) -> Iterator[str]:
    for command in commands:
        described = [_quoted(f"{word.name}:{word.text}") for word in command.words]
        yield f"        ({command.name})"
        yield f"            options=({' '.join(described)})"
        yield f"            parameters=({_hints(command)}) repeats={int(command.repeats)} peer={_quoted(command.peer)}"
        yield '            case "$1" in'
        for names, hints in _alike(command):
            yield f"                ({'|'.join(map(_quoted, names))}) values=({hints}) ;;"
        yield "            esac"
        yield "            ;;"


def _fish(commands: Sequence[Described]) -> Iterator[str]:
    for command in commands:
        described = [_fish_quoted(f"{word.name}\t{word.text}") for word in command.words]
        yield f"        case {command.name}"
        yield f"            set -g __asyncstore_options {' '.join(described)}"
        yield f"            set -g __asyncstore_parameters {_hints(command)}"
        yield f"            set -g __asyncstore_repeats {int(command.repeats)}"
        yield f"            set -g __asyncstore_peer {_quoted(command.peer)}"
        yield "            switch $argv[2]"
        for names, hints in _alike(command):
            yield f"                case {' '.join(map(_fish_quoted, names))}"
            yield f"                    set -g __asyncstore_values {hints}"
        yield "            end"


def _hints(command: Described) -> str:
    """The hints of a command's parameters as the words of a list."""
    return " ".join(map(_quoted, command.parameters))


def _alike(command: Described) -> Iterator[tuple[list[str], str]]:
    """The options that take values: those with the same values together, and the list of the values' hints."""
    names: dict[tuple[str, ...], list[str]] = {}
    for word in command.words:
        if word.values:
            names.setdefault(word.values, []).append(word.name)
    for hints, words in names.items():
        yield words, " ".join(map(_quoted, hints))


def _quoted(text: str) -> str:
    """A word quoted for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    """A word quoted for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_BASH = r"""# bash completion of asyncstore, made by: asyncstore completion bash
# What an option or a parameter of a command takes: sets options, parameters, repeats, peer and values.
_asyncstore_table() {
    values=()
    case "$2" in
@CASES@
    esac
}

# The words as the program will see them: readline parts them at = and : too (COMP_WORDBREAKS).
_asyncstore_words() {
    local rest=$COMP_LINE part index
    words=() current=-1
    for ((index = 0; index < ${#COMP_WORDS[@]}; index++)); do
        part=${COMP_WORDS[index]}
        if ((index > 0)) && [[ $rest != [[:space:]]* && -n $rest ]]; then
            words[${#words[@]} - 1]+=$part
        else
            words+=("$part")
        fi
        while [[ $rest == [[:space:]]* ]]; do rest=${rest#?}; done
        rest=${rest#"$part"}
        if ((index == COMP_CWORD)); then current=$((${#words[@]} - 1)) parted=$part; fi
    done
}

# Offers the lines of its input, as they are.
_asyncstore_lines() {
    local line
    while IFS= read -r line; do COMPREPLY+=("$line"); done
}

# Offers the peers of the configuration file, quoted: the names may hold anything.
_asyncstore_peers() {
    local config=${ASYNCSTORE_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/asyncstore/config.toml} line quoted
    [[ -f $config && -r $config ]] || return 0
    while IFS= read -r line; do
        printf -v quoted %q "$line"
        if [[ $quoted == "$1"* || $line == "$1"* ]]; then COMPREPLY+=("$quoted"); fi
    done < <(@PEERS@)
}

_asyncstore_offer() {
    local hint=$1 word=$2
    case $hint in
        :file) compopt -o filenames 2>/dev/null
            _asyncstore_lines < <(compgen -f -- "$word") ;;
        :directory) compopt -o filenames 2>/dev/null
            _asyncstore_lines < <(compgen -d -- "$word") ;;
        :host) _asyncstore_lines < <(compgen -A hostname -- "$word") ;;
        :peer) _asyncstore_peers "$word" ;;
        *) _asyncstore_lines < <(compgen -W "$hint" -- "$word") ;;
    esac
}

_asyncstore() {
    local words current parted options parameters repeats peer values word index place=0 left=0 over=0 hints=() before=
    COMPREPLY=()
    _asyncstore_words
    word=${words[current]}
    if ((current == 1)); then
        _asyncstore_lines < <(compgen -W '@COMMANDS@ --help --version' -- "$word")
        return
    fi
    for ((index = 2; index < current; index++)); do
        if ((left > 0)); then
            ((left--))
            continue
        fi
        if ((over)); then
            place=$((place + 1))
            continue
        fi
        if [[ ${words[index]} == -- ]]; then
            over=1
            continue
        fi
        _asyncstore_table "${words[index]}" "${words[1]}"
        hints=("${values[@]}")
        left=${#values[@]}
        if [[ -n $peer && ${words[index]} == "$peer" ]]; then place=$((place + 2)); fi
        if [[ ${words[index]} != [-+][^0-9]* ]]; then place=$((place + 1)); fi
    done
    _asyncstore_table '' "${words[1]}"
    if ((left > 0)); then
        _asyncstore_offer "${hints[${#hints[@]} - left]}" "$word"
    elif ((!over)) && [[ $word == [-+]* ]]; then
        _asyncstore_lines < <(compgen -W "$options" -- "$word")
    elif ((place < ${#parameters[@]})); then
        _asyncstore_offer "${parameters[place]}" "$word"
    elif ((repeats)); then
        _asyncstore_offer "${parameters[${#parameters[@]} - 1]}" "$word"
    fi
    # What stands before the last break of readline's, and the break itself, is not to be repeated.
    before=${word%"${parted#[=:]}"}
    if [[ -n $before ]]; then COMPREPLY=("${COMPREPLY[@]#"$before"}"); fi
}

complete -F _asyncstore asyncstore
"""

_ZSH = r"""#compdef asyncstore
# zsh completion of asyncstore, made by: asyncstore completion zsh
# What an option or a parameter of a command takes: sets options, parameters, repeats, peer and values.
_asyncstore_table() {
    values=()
    case "$2" in
@CASES@
    esac
}

_asyncstore_offer() {
    local config=${ASYNCSTORE_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/asyncstore/config.toml}
    case $1 in
        (:file) _files ;;
        (:directory) _files -/ ;;
        (:host) _hosts ;;
        (:peer) [[ -f $config && -r $config ]] && compadd -- ${(f)"$(@PEERS@)"} ;;
        ('') _message 'a value' ;;
        (*) compadd -- ${=1} ;;
    esac
}

_asyncstore() {
    local -a options parameters values hints commands
    local repeats peer word index place=0 left=0 over=0
    if ((CURRENT == 2)); then
        commands=(@COMMANDS@)
        _describe command commands
        return
    fi
    for ((index = 3; index < CURRENT; index++)); do
        if ((left > 0)); then
            ((left--))
            continue
        fi
        word=${(Q)words[index]}
        if ((over)); then
            ((place += 1))
            continue
        fi
        if [[ $word == -- ]]; then
            over=1
            continue
        fi
        _asyncstore_table "$word" "$words[2]"
        hints=("${values[@]}")
        left=$#values
        if [[ -n $peer && $word == $peer ]]; then ((place += 2)); fi
        if [[ $word != [-+][^0-9]* ]]; then ((place += 1)); fi
    done
    _asyncstore_table '' "$words[2]"
    if ((left > 0)); then
        _asyncstore_offer "$hints[$#hints - left + 1]"
    elif ((!over)) && [[ $words[CURRENT] == [-+]* ]]; then
        _describe -o option options
    elif ((place < $#parameters)); then
        _asyncstore_offer "$parameters[place + 1]"
    elif ((repeats)); then
        _asyncstore_offer "$parameters[-1]"
    fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _asyncstore "$@"
else
    compdef _asyncstore asyncstore
fi
"""

_FISH = r"""# fish completion of asyncstore, made by: asyncstore completion fish
# What an option or a parameter of a command takes.
function __asyncstore_table
    set -g __asyncstore_values
    switch $argv[1]
@CASES@
    end
end

function __asyncstore_offer
    set -l config $ASYNCSTORE_CONFIG
    if test -z "$config"
        set config $HOME/.config
        test -n "$XDG_CONFIG_HOME"; and set config $XDG_CONFIG_HOME
        set config $config/asyncstore/config.toml
    end
    switch "$argv[1]"
        case :file
            __fish_complete_path (commandline -ct)
        case :directory
            __fish_complete_directories (commandline -ct)
        case :host
            __fish_print_hostnames
        case :peer
            test -f "$config" -a -r "$config"; and @PEERS@
        case '*'
            string split -n ' ' -- $argv[1]
    end
end

function __asyncstore_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l place 0
    set -l left 0
    set -l over 0
    set -l hints
    if test (count $words) -eq 1
@COMMANDS@
        return
    end
    for each in $words[3..-1]
        if test $left -gt 0
            set left (math $left - 1)
            continue
        end
        if test $over -eq 1
            set place (math $place + 1)
            continue
        end
        if string match -q -- -- $each
            set over 1
            continue
        end
        __asyncstore_table $words[2] $each
        set hints $__asyncstore_values
        set left (count $hints)
        if test -n "$__asyncstore_peer"; and test "$each" = "$__asyncstore_peer"
            set place (math $place + 2)
        end
        string match -qr '^[-+][^0-9]' -- $each; or set place (math $place + 1)
    end
    __asyncstore_table $words[2] ''
    set -l parameters $__asyncstore_parameters
    if test $left -gt 0
        __asyncstore_offer $hints[(math (count $hints) - $left + 1)]
    else if test $over -eq 0; and string match -qr '^[-+]' -- $word
        string join \n -- $__asyncstore_options
    else if test $place -lt (count $parameters)
        __asyncstore_offer $parameters[(math $place + 1)]
    else if test $__asyncstore_repeats -eq 1
        __asyncstore_offer $parameters[-1]
    end
end

complete -c asyncstore -f -a '(__asyncstore_complete)'
"""
