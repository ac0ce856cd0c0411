# As many write it: the file tells the process of whoever holds the place. Arguments: the file, the command.
file=$1
shift
if [ -e "$file" ] && kill -0 "$(cat "$file")" 2>/dev/null; then
    echo "already running" >&2
    exit 1
fi
echo $$ >"$file"
exec "$@"
