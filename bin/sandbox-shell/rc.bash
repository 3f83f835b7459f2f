# bash in `tombolo sandbox shell`: the user's own settings, then our programs before all others, whatever those settings did.
[ -f ~/.bashrc ] && . ~/.bashrc
PATH=$TOMBOLO_SHELL_PATH:$PATH
PS1="(sandbox) $PS1"
