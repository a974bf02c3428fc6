# fish completion for popfetch: source it, or install it as
# ~/.config/fish/completions/popfetch.fish

function __popfetch_words
    set -l typed (commandline -opc) (commandline -ct)
    set -l found ($typed[1] completion words -- $typed[2..] 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c popfetch -f -a '(__popfetch_words)'
