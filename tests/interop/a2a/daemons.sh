# Daemons whose A2A listeners are judged, each on an empty state root. They end with the script that sources this; it
# sets `binary` before.

root=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill -TERM "${pids[@]}"; wait; rm -rf "$root"' EXIT
umask 077

# start NAME SECTION: a daemon of this name, with this section `a2a`; it has its listener by that.
start() {
  mkdir "$root/$1"
  printf '[a2a]\n%s\n' "$2" >"$root/$1/config.toml"
  "$binary" serve --state-root "$root/$1" --bind 127.0.0.1:0 --a2a-test-executor --log info \
    >"$root/$1.out" 2>"$root/$1.log" &
  pids+=($!)
}

# address NAME PID: where the listener of a daemon is; waits for it.
address() {
  local found=
  until [ -n "$found" ]; do
    kill -0 "$2" 2>/dev/null || { cat "$root/$1.log" >&2; exit 1; }
    sleep 0.05
    found=$(sed -n 's/.*A2A is served over HTTP.*bound=\(127[0-9.:]*\).*/\1/p' "$root/$1.log")
  done
  echo "http://$found"
}
