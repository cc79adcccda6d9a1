package schedule

import (
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
)

// Options say what is scheduled, for whom.
type Options struct {
	System string
	// Runbook is the absolute path of the runbook, Program that of comeback.
	Runbook, Program string
	// Components are those that comeback takes backups of.
	Components    []recovery.Component
	RPO, Rehearse time.Duration
	// User runs the jobs.
	User string
	// State is where comeback keeps its state; Writes are the copies on this host, which
	// every job brings something to. Scratch is where backups are made ready and
	// rehearsals restore to.
	State   string
	Writes  []string
	Scratch string
	// Environment is a file with the variables that the runbook needs.
	Environment string
	// SharesTmp says that a live server has its socket below /tmp or /var/tmp, as one that was
	// built from source has by default: jobs must see those as everybody does.
	SharesTmp bool
	// Metrics is a file for Prometheus; empty writes none.
	Metrics string
	// Key signs the reports of rehearsals; empty leaves them unsigned, and no proof.
	Key string
	// MaxDisk and MinMemory are the limits of rehearsals, like "50GB"; empty is none.
	MaxDisk, MinMemory string
	// Success and Failure are commands, by their words, that are run when a job
	// has ended, or an http URL that is fetched; in them {job} stands for its name.
	Success, Failure []string
}

// Job is one thing that is done again and again.
type Job struct {
	// Name is "backup-database", "check", "catch-up" or "rehearse".
	Name string
	// Component is what it backs up; empty for other jobs.
	Component string
	// Says is what it does.
	Says string
	// Args are those of comeback.
	Args []string
	// Each is how often. At is when of the day it begins, where it is once in some nights;
	// where it is once in some hours, it does so at one of them.
	Each, At time.Duration
	// Restores says that it starts servers of its own, shut in boxes.
	Restores bool
	// Scratches says that it writes into scratch, Measures that it writes the metrics.
	Scratches, Measures bool
	// Stays says that it runs all the time, and is started again when it ends.
	Stays bool
	// Findings says that exit code 1 is a result, not a failure.
	Findings bool
}

// The pace of jobs that the runbook says nothing about.
const (
	nightly     = 24 * time.Hour
	checkEach   = time.Hour
	catchUpEach = 5 * time.Minute
	leastEach   = 2 * time.Minute
)

// When those begin that are done each hour, or each few hours. A check comes when what has
// begun before it has had time to end.
const (
	hourlyAt = 4*time.Hour + 10*time.Minute
	checkAt  = 50 * time.Minute
)

// When at the end of the night jobs begin. What is removed waits for a backup that is at
// work, and a backup for a removal: far apart, neither has to. No hour is one that a change
// of the clocks leaves out, or has twice: systemd and cron do not begin at a time that does
// not come. All that change them do so before 04:00 or after 22:00.
const (
	backsUpAt  = 4*time.Hour + 5*time.Minute
	rehearseAt = 6*time.Hour + 5*time.Minute
	retainAt   = 8*time.Hour + 35*time.Minute
)

// Unit is the name of the systemd unit that starts a job.
func (j Job) Unit(system string) string {
	if j.Stays {
		return Prefix(system) + j.Name + ".service"
	}
	return Prefix(system) + j.Name + ".timer"
}

// Jobs lists what the runbook asks for: databases and configuration are backed up
// each night, files twice in the time of the RPO: a backup may begin late, takes its time,
// and what it holds is as old as its beginning.
func Jobs(o Options) []Job {
	var jobs []Job
	database, retains := false, false
	for _, c := range o.Components {
		each, at := nightly, backsUpAt
		if c.Kind == recovery.Files && o.RPO > 0 {
			each = min(nightly, max(leastEach, o.RPO/2))
		}
		if each < nightly {
			at = hourlyAt
		}
		retains = retains || len(c.Settings["retain"]) > 0
		if c.Settings.Text("receiver") != "" {
			jobs = append(jobs, Job{Name: "receive-" + c.Name, Says: "receive the log of " + c.Name, Stays: true, Each: catchUpEach, Args: []string{"wal", "receive", o.Runbook, "--component", c.Name}})
		}
		if w := c.Settings["backup"]; len(w) == 1 && w[0] == "none" {
			continue
		}
		database = database || c.Kind == recovery.Postgres
		jobs = append(jobs, Job{Name: "backup-" + c.Name, Component: c.Name, Says: "back up " + c.Name, Each: each, At: at, Scratches: true, Args: []string{"backup", o.Runbook, c.Name}})
	}
	if database {
		jobs = append(jobs, Job{Name: "catch-up", Says: "bring the log to copies that lack it", Each: catchUpEach, Args: []string{"wal", "push", o.Runbook, "--catch-up"}})
	}
	if retains {
		jobs = append(jobs, Job{Name: "retain", Says: "remove what need not be kept", Each: nightly, At: retainAt, Args: []string{"retain", o.Runbook, "--remove"}})
	}
	check := []string{"check", o.Runbook}
	if o.Metrics != "" {
		check = append(check, "--prometheus", o.Metrics)
	}
	jobs = append(jobs, Job{Name: "check", Says: "check whether the copies would save it", Each: checkEach, At: checkAt, Args: check, Findings: true, Measures: true})
	if o.Rehearse > 0 {
		args := []string{"rehearse", o.Runbook, "--auto", "--plain"}
		for _, f := range []struct{ name, value string }{{"--key", o.Key}, {"--max-disk", o.MaxDisk}, {"--min-memory", o.MinMemory}} {
			if f.value != "" {
				args = append(args, f.name, f.value)
			}
		}
		jobs = append(jobs, Job{Name: "rehearse", Says: "rehearse what most needs a proof", Each: o.Rehearse, At: rehearseAt, Args: args, Scratches: true, Restores: true})
	}
	apart(jobs)
	return jobs
}

// apart lets each job of the night begin in a minute in which neither another one does
// nor a backup that is taken more often.
func apart(jobs []Job) {
	begins := map[time.Duration]bool{}
	for i := range jobs {
		j := &jobs[i]
		if j.Each < nightly {
			continue
		}
		for begins[j.At] || slices.ContainsFunc(jobs, func(o Job) bool { return o.Component != "" && o.beginsAt(j.At) }) {
			j.At += time.Minute
		}
		begins[j.At] = true
	}
}

// beginsAt reports whether a job that is done more than once a day begins in a minute of
// some hour.
func (j Job) beginsAt(at time.Duration) bool {
	minute := int(at % time.Hour / time.Minute)
	switch {
	case j.Each < time.Hour:
		return minute%j.minutes() == 0
	case j.Each < nightly:
		return minute == int(j.At%time.Hour/time.Minute)
	}
	return false
}

// minutes are those between two beginnings of a job that is done several times an hour.
func (j Job) minutes() int { return max(1, int(j.Each/time.Minute)) }

// hours are those between two beginnings of a job that is done several times a day: so many
// that they are the same from each day to the next.
func (j Job) hours() int {
	n := max(1, int(j.Each/time.Hour))
	for 24%n != 0 {
		n--
	}
	return n
}

// How far apart those days can be, or those on which one of them fails.
const (
	twoWeeks    = 14 * 24 * time.Hour
	twoMonths   = 62 * 24 * time.Hour
	twoQuarters = 184 * 24 * time.Hour
)

// calendar is when a job runs, for systemd and for cron. Jobs of two weeks and more run
// at night, half as far apart as they are owed, so that one may fail.
func (j Job) calendar() (systemd, cron string) {
	hour, minute := int(j.At/time.Hour), int(j.At%time.Hour/time.Minute)
	daily := func(days string) string { return fmt.Sprintf("%s %02d:%02d", days, hour, minute) }
	crontab := func(days string) string { return fmt.Sprintf("%d %d %s", minute, hour, days) }
	switch d := j.Each; {
	case d < time.Hour:
		n := j.minutes()
		return fmt.Sprintf("*:0/%d", n), fmt.Sprintf("*/%d * * * *", n)
	case d < nightly:
		n := j.hours()
		hour %= n
		return fmt.Sprintf("%d/%d:%02d", hour, n, minute), fmt.Sprintf("%d %d-23/%d * * *", minute, hour, n)
	case d <= twoWeeks:
		return daily("*-*-*"), crontab("* * *")
	case d <= twoMonths:
		return daily("Sun"), crontab("* * 0")
	case d <= twoQuarters:
		return daily("*-*-01"), crontab("1 * *")
	}
	return daily("*-1/3-01"), crontab("1 */3 *")
}
