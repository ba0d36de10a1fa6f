# Runs one private PostgreSQL for its owner and leaves nothing behind when the owner is gone, however it went.
#
# File descriptor 3 is the read end of a pipe whose only write end is in the owner. Each line is a command; the end of
# the pipe is the order to stop PostgreSQL and to remove the run folder. Descriptor 4 leads back to the owner: one line
# "ended <status>" each time PostgreSQL, or initdb before it, has ended. Any other line on it is a complaint.
#
# This shell leads a process group. PostgreSQL's main process and initdb belong to it, so a signal to the group reaches
# them with no process id to get wrong; the shells in it ignore those signals. PostgreSQL's other processes are led by
# its main one.

unset supervise # where the owner put this text
bin=$1 run=$2 data=$3 sync=$4
shift 4

umask 077
trap '' INT QUIT
serving=

serve() {
    if [ ! -e "$data/PG_VERSION" ]; then
        rm -rf "$data.new"
        "$bin/initdb" -D "$data.new" -U postgres -E UTF8 --locale=C --auth-local=trust --auth-host=scram-sha-256 \
            --pwfile="$run/password" $sync || return
        : >"$run/log" # what initdb tells on success is of no use
        # The password moves with the data folder, so that both are there or neither is.
        mv "$run/password" "$data.new/pgsolo.password" && mv "$data.new" "$data" || return
    fi
    "$bin/postgres" -D "$data" -k "$run" -p "$port" "$@"
}

# finish repeats the signal because one is lost on a process that has not yet set up its handlers. A fast shutdown comes
# first, then an immediate one; the last resort ends a main process that is frozen.
finish() {
    trap '' TERM HUP
    tries=0
    while [ -n "$serving" ] && [ ! -e "$run/ended" ] && [ "$tries" -lt 300 ]; do
        if [ "$tries" -lt 100 ]; then
            kill -s INT 0
        elif [ "$tries" -lt 240 ]; then
            kill -s QUIT 0
        else
            read -r pid <"$data/postmaster.pid" && kill -s KILL "$pid"
        fi
        sleep 0.05 || sleep 1
        tries=$((tries + 1))
    done
    rm -rf "$run"
    exit
}

trap finish TERM HUP
mkdir "$run" 2>&4 || exit 1
exec >>"$run/log" 2>&1

while read -r command argument <&3; do
    case $command in
    password)
        printf '%s\n' "$argument" >"$run/password"
        ;;
    start)
        port=$argument
        rm -f "$run/ended"
        {
            trap '' TERM HUP # a signal to the whole group must not keep it from its last two lines
            serve "$@" 4>&-
            status=$?
            : >"$run/ended" # before the report, for which there may be no reader left
            echo "ended $status" >&4
        } 3<&- &
        serving=$!
        ;;
    INT | QUIT)
        kill -s "$command" 0
        ;;
    esac
done
finish
