package interpreter

import (
	"strings"
	"testing"
)

// args reads a command in which K is data of others, and words are in single quotes where they have spaces.
func args(line string) []Arg {
	var all []Arg
	for i, quoted := range strings.Split(line, "'") {
		words := []string{quoted}
		if i%2 == 0 {
			words = strings.Fields(quoted)
		}
		for _, word := range words {
			before, _, foreign := strings.Cut(word, "K")
			all = append(all, Arg{before, foreign})
		}
	}
	return all
}

func TestDataAsAProgram(t *testing.T) {
	for _, line := range []string{
		"sh -c K", "sh -c 'echo K'", "/bin/bash -lc 'echo K'", "bash -c -e K", "dash -ec K", "zsh -o pipefail -c K",
		"ksh -c K", "ash -cK", "bash --norc --rcfile x -c K", "sh -e -u -c 'K'", "bash -eo pipefail -c 'echo K'",
		"bash +x -c K", "fish --command=K", "fish --command K", "fish -c K", "busybox sh -c K", "/bin/busybox ash -c K",
		"env sh -c K", "env A=b -i sh -c K", "env -S 'sh K'", "env --split-string=K", "env -u X bash -c K",
		"timeout 5 sh -c K", "timeout -k 1 --signal=KILL 5 sh -c K", "nice -n 5 sh -c K", "nohup setsid sh -c K",
		"sudo -u app sh -c K", "sudo -E -u app -- bash -c K", "doas -u app sh -c K", "chroot /x sh -c K",
		"flock /x sh -c K", "flock /x -c K", "stdbuf -oL sh -c K", "nsenter -t 1 -m sh -c K", "unshare -r sh -c K",
		"tini -g -- sh -c K", "gosu app sh -c K", "xargs sh -c K", "docker exec -i app sh -c K",
		"kubectl exec app -- sh -c 'K'", "find / -exec sh -c K", "find / -exec K", "runuser -u app -- sh -c K",
		"runuser app -c K",
		"su -c K app", "su app -c K", "su - app --command=K", "su app -s /bin/sh -c 'echo K'", "script -qc K /dev/null",
		"ssh host K", "ssh -o K host", "ssh host 'echo K'", "watch 'echo K'", "parallel 'echo K' ::: a",
		"python -c K", "python3 -c 'print(\"K\")'", "python3.11 -Ic K", "python3 -u -cK", "python3 -W ignore -c K",
		"perl -e K", "perl -ne 'print K'", "perl -lane K", "perl -i -pe K", "perl -MPOSIX -eK", "perl -e 1 -e K",
		"ruby -e K", "ruby -i -ne K", "ruby -rjson -e 'K'", "node -e K", "node --eval K", "node --eval=K",
		"node -pe 'x K'",
		"node --no-warnings --require x -e K", "nodejs -p K", "php -r K", "php -d a=b -r 'echo K;'", "php8.2 -r K",
		"awk K", "awk '{print K}'", "gawk -F : -v a=b '{K}'", "mawk -F: K", "awk -f K", "sed K", "sed s/K/x/",
		"sed -n -e s/a/K/", "sed -E -i K", "sed s/a/b/ -e K", "sed --expression=K", "psql -c K",
		"psql -d x -c 'select K'",
		"psql --command=K", "psql --command K", "psql db -c K", "psql -f K", "mysql -u x -e K", "mariadb --execute=K",
		"sqlite3 db K", "sqlite3 db 'select K'", "sqlite3 -cmd K db", "lua -e K", "deno eval K", "jq .K",
		"Rscript -e K", "osascript -e K", "julia -e K", "pwsh -Command K",

		"K", "K -c x", "env K", "env K sh", "nice K", "timeout 5 K", "sudo K", "sudo -u app K", "xargs K",
		"sh K", "bash -K", "sh -- K", "sh -x K", "sh 'scripts/K'", "python3 K", "python3 -m K", "perl K", "node K",
		"php -f K",
		"perl -e 1 K", "sh -s K", "env LD_PRELOAD=K x", "env PATH=K x",
	} {
		if found := Check(args(line), true); found == nil {
			t.Errorf("%s: nothing found", line)
		} else if i := found.Index; found.Text == "" || i >= len(args(line)) || !args(line)[i].Foreign {
			t.Errorf("%s: %+v", line, found)
		}
	}
}

func TestDataAsAnArgument(t *testing.T) {
	for _, line := range []string{
		"echo K", "cat", "/usr/local/bin/report --key K", "report --key=K", "report -c K -e K", "report.sh -c K",
		"sh -c 'echo $1' sh K", "sh -c 'echo $1' K", "bash -lc 'echo $1' bash K K", "bash -c -e 'echo $1' sh K",
		"bash --norc -c true sh K", "bash --norc script.sh K", "sh script.sh K", "sh script.sh -c K",
		"sh -e script.sh K",
		"bash -o pipefail script.sh -c K", "env A=K sh -c 'echo $A'", "env A=K report K", "timeout 5 report K",
		"timeout K report", "sudo -u app report K", "sudo -u app sh -c 'echo $1' sh K", "busybox sh -c 'echo $1' sh K",
		"docker exec app report K", "docker exec -e A=K app sh -c 'echo $A'", "docker run python:3 K",
		"python3 -c 'import sys' K", "python3 script.py K", "python3 script.py -c K", "python3 -m json.tool K",
		"python3 -u -W ignore script.py --c K", "perl -e 1 -- K", "perl script.pl -e K", "perl -w script.pl K",
		"ruby -e 1 -- K", "ruby script.rb K", "node script.js K", "node script.js --eval K", "node -r x script.js K",
		"node -e 1 -- K", "php script.php K", "php -d a=b script.php K", "php -r 1 -- K", "awk '{print}' K",
		"awk -v k=K '{print}'",
		"awk -f script.awk -- K", "awk -v K '{print}'", "sed s/a/b/ K", "sed -e s/a/b/ -- K",
		"psql -v k=K -f script.sql",
		"psql -f script.sql -v k=K", "psql -d app --set k=K -f script.sql", "sqlite3 db-K 'select 1'",
		"jq --arg k K .[$k]",
		"jq -r --argjson k K '.a' file", "su app -c 'echo $1' -- sh K", "xargs sh -c 'echo $1' sh", "xargs -n 1 report",
		"xargs -I{} report {}", "ssh host report", "nohup report K", "nice -n 5 report K", "runuser -u app -- report K",
		"find / -name K", "grep -e K", "grep -e sh K",
	} {
		if found := Check(args(line), true); found != nil {
			t.Errorf("%s: %+v", line, found)
		}
	}
}

// An interpreter without a program takes standard input for one, which for an event is its payload.
func TestPayloadAsAProgram(t *testing.T) {
	for _, line := range []string{
		"sh", "/bin/bash", "bash -s", "bash -s x", "sh -", "sh -x", "python3", "python3 -", "python3 -u", "perl",
		"perl -w",
		"ruby", "node", "php", "psql", "psql -d app", "psql app user", "mysql app", "sqlite3 db", "env sh",
		"sudo -u app sh",
		"timeout 5 python3", "su app", "su - app", "at now", "xargs sh -c", "xargs -I{} sh -c 'echo {}'", "xargs env",
		"xargs -I % sh -c 'echo %'", "xargs -i sh -c 'echo {}'", "xargs --replace=X sh -c 'echo X'", "xargs",
	} {
		if line == "xargs" { // which echoes
			continue
		}
		if found := Check(args(line), true); found == nil {
			t.Errorf("%s: nothing found", line)
		}
		if found := Check(args(line), false); found != nil {
			t.Errorf("%s, with nothing on standard input: %+v", line, found)
		}
	}
	for _, line := range []string{"sh -c cat", "sh script.sh", "python3 -m json.tool", "python3 x.py", "psql -f x.sql",
		"psql -c 'select 1'", "awk '{print}'", "sqlite3 db 'select 1'", "xargs", "tee /x", "perl -pe s/a/b/"} {
		if found := Check(args(line), true); found != nil {
			t.Errorf("%s: %+v", line, found)
		}
	}
}
