#compdef popfetch
# zsh completion for popfetch: source it, or install it as _popfetch in a directory of
# $fpath.

_popfetch() {
	local -a lines found
	local line
	lines=("${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ $lines[1] == :files ]]; then
		_files
		return
	fi
	for line in $lines; do
		found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done
	_describe popfetch found
}

if [[ $funcstack[1] == _popfetch ]]; then
	_popfetch "$@"
else
	compdef _popfetch popfetch
fi
