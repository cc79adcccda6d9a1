package schedule

import (
	"fmt"
	"strings"
)

// Cron writes the jobs as a file for /etc/cron.d, for hosts without systemd.
func Cron(o Options) string {
	o.Success, o.Failure = fetching(o.Success), fetching(o.Failure)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nSHELL=/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin\nCOMEBACK_STATE=%s\n", Mark(o.System), o.State)
	if o.Scratch != "" {
		fmt.Fprintf(&b, "COMEBACK_SCRATCH=%s\n", o.Scratch)
	}
	if o.Environment != "" {
		fmt.Fprintf(&b, "%s=%s\n", EnvironmentVariable, o.Environment)
	}
	for _, j := range Jobs(o) {
		_, cron := j.calendar()
		command := shell(append([]string{o.Program}, j.Args...))
		if j.Findings {
			command = "{ " + command + " || test $? -eq 1; }"
		}
		if j.Stays { // 3 is that it runs already
			command = "{ " + command + " || test $? -eq 3; }"
		}
		if len(o.Success) > 0 && !j.Stays {
			command += " && " + shell(replaced(o.Success, j.Name))
		}
		if len(o.Failure) > 0 {
			command += " || " + shell(replaced(o.Failure, j.Name))
		}
		// A per cent sign is a line's end in a crontab.
		fmt.Fprintf(&b, "%s\n%s %s %s\n", heading(o.System, j), cron, o.User, strings.ReplaceAll(command, "%", `\%`))
	}
	return b.String()
}

// heading stands above a job's line in a crontab.
func heading(system string, j Job) string { return "# " + system + ": " + j.Says }

// InCron reports whether a file that [Cron] has written for a system holds a job.
func InCron(text, system string, j Job) bool {
	return strings.Contains(text, Mark(system)+"\n") && strings.Contains(text, "\n"+heading(system, j)+"\n")
}

// shell quotes a command's words for sh.
func shell(command []string) string {
	var out []string
	for _, w := range command {
		out = append(out, quote(w))
	}
	return strings.Join(out, " ")
}

func quote(w string) string { return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" }
