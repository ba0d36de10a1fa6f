package config

import (
	"context"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

// What depends on the tick is judged when it comes, in words of the configuration.
func TestWhatWaitsForTheTick(t *testing.T) {
	for name, block := range map[string]string{
		"the program":            `exec { command = ["/opt/${run.job}", "--now"] }`,
		"all of the command":     `exec { command = [for x in ["/opt/a", "b"] : "${x}${run.job}"] }`,
		"the folder of a script": "exec {\ncommand = [\"./program\"]\ndir = \"/srv/${run.job}\"\n}",
	} {
		src := "postgres { url = env(\"DATABASE_URL\") }\ncron \"c\" {\nschedule = \"@daily\"\n" + block + "\n}"
		of, err := Parse("config.hcl", []byte(src), testEnv)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		job := of.Bind(Resources{})["main"].Crons[0]
		err = job.Run(context.Background(), cron.Tick{Job: "c"})
		if err == nil || !strings.Contains(err.Error(), "command[0]") && !strings.Contains(err.Error(), "dir") {
			t.Errorf("%s: run: %v", name, err)
		}
	}
}
