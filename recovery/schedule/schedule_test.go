package schedule_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // of hosts that have none

	"comeback/recovery"
	"comeback/recovery/schedule"
)

func shop() schedule.Options {
	return schedule.Options{System: "shop", Runbook: "/etc/comeback/the shop's 100 %.md", Program: "/bin/true", RPO: 5 * time.Minute, Rehearse: 90 * 24 * time.Hour,
		Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"receiver": {"comeback"}, "retain": {"7 daily"}}}, {Name: "uploads", Kind: recovery.Files}, {Name: "config", Kind: recovery.Config},
			{Name: "old", Kind: recovery.Files, Settings: recovery.Settings{"backup": {"none"}}}},
		User: "daemon", State: "/var/lib/comeback", Writes: []string{"/var/backups/shop"}, Scratch: "/var/tmp", Environment: "/etc/comeback/shop.env", Metrics: "/var/lib/node_exporter/comeback.prom",
		Success: []string{"/bin/echo", "https://hc.example.com/shop-{job}", "$HOME"}, Failure: []string{"/bin/echo", "{job} failed"}}
}

// systemd finds nothing wrong with the units, and knows every key in them.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, f := range schedule.Systemd(shop()) {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, []byte(f.Text), 0o644); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(f.Text, schedule.Mark("shop")+"\n") {
			t.Errorf("%s does not say who wrote it", f.Name)
		}
		if strings.HasSuffix(f.Name, "@.service") { // what is verified is what a job starts of it
			path = filepath.Join(dir, strings.Replace(f.Name, "@", "@check", 1))
			if err := os.WriteFile(path, []byte(f.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		paths = append(paths, path)
		writes := map[string]bool{}
		for line := range strings.Lines(f.Text) {
			if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "ReadWritePaths=-"); ok {
				writes[dir] = true
			}
		}
		service, job := strings.HasSuffix(f.Name, ".service"), strings.TrimSuffix(strings.TrimPrefix(f.Name, "comeback-shop-"), ".service")
		scratches, measures, tells := strings.HasPrefix(job, "backup-") || job == "rehearse", job == "check", job == "failed@"
		if service && (writes["/var/tmp"] != scratches || writes["/var/lib/node_exporter"] != measures || writes["/var/backups/shop"] == tells || writes["/tmp"] != (job == "rehearse")) {
			t.Errorf("%s writes %v", f.Name, writes)
		}
		if service && (!strings.Contains(f.Text, "\nProtectSystem=strict\n") || strings.Contains(f.Text, "\nMemoryMax=50%\n") != (job == "rehearse")) {
			t.Errorf("%s is not hardened, or its memory is not as it should be:\n%s", f.Name, f.Text)
		}
	}
	if len(paths) != 16 {
		t.Errorf("%d units: %v", len(paths), paths)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed here: the units were written, and nobody has verified them")
		return
	}
	cmd := exec.Command(analyze, append([]string{"verify", "--man=no"}, paths...)...)
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "comeback-shop") {
			t.Errorf("systemd-analyze: %s", line)
		}
	}
	if err != nil && strings.Contains(string(out), "comeback-shop") {
		t.Errorf("systemd-analyze: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "comeback-shop-backup-uploads.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`ExecStart="/bin/true" "backup" "/etc/comeback/the shop's 100 %%.md" "uploads"`, `ExecStartPost="/bin/echo" "https://hc.example.com/shop-backup-uploads" "$$HOME"`,
		"OnFailure=comeback-shop-failed@backup-uploads.service", "After=network-online.target time-sync.target", "Wants=network-online.target time-sync.target", "User=daemon", "ProtectSystem=strict", "ReadWritePaths=-/var/backups/shop", "RestrictNamespaces=yes"} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the service lacks %s:\n%s", line, text)
		}
	}
}

// A job has a /tmp of its own, but for those that restore, and where a live server's socket
// lies in everybody's: the units say why.
func TestSystemd_socketInTmp(t *testing.T) {
	for _, shares := range []bool{false, true} {
		o := shop()
		o.SharesTmp = shares
		for _, f := range schedule.Systemd(o) {
			job, service := strings.CutSuffix(strings.TrimPrefix(f.Name, "comeback-shop-"), ".service")
			if !service {
				continue
			}
			private, restores := !shares || job == "failed@", job == "rehearse"
			lines := strings.Split(f.Text, "\n")
			if slices.Contains(lines, "PrivateTmp=yes") != (private && !restores) || slices.Contains(lines, "ReadWritePaths=-/tmp") != (restores || !private) ||
				strings.Contains(f.Text, "\n# No PrivateTmp=yes: a live server has its socket") != (!private && !restores) {
				t.Errorf("where a socket lies in /tmp is %v, %s is\n%s", shares, f.Name, f.Text)
			}
		}
	}
}

// Directories with blanks in their names stay one, also to systemd.
func TestSystemd_blanks(t *testing.T) {
	o := shop()
	o.State, o.Scratch = `/srv/the state/50%`, `/srv/"scratch"`
	o.Writes = []string{"/srv/the copy"}
	dir := t.TempDir()
	var paths []string
	for _, f := range schedule.Systemd(o) {
		if !strings.HasPrefix(f.Name, "comeback-shop-backup-uploads.") {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, []byte(f.Text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		if !strings.HasSuffix(f.Name, ".service") {
			continue
		}
		for _, line := range []string{`Environment="COMEBACK_STATE=/srv/the state/50%%"`, `Environment="COMEBACK_SCRATCH=/srv/\"scratch\""`, `ReadWritePaths="-/srv/the copy"`, `ReadWritePaths="-/srv/the state/50%%"`, `ReadWritePaths=-/srv/"scratch"`} {
			if !strings.Contains(f.Text, "\n"+line+"\n") {
				t.Errorf("it does not say %s:\n%s", line, f.Text)
			}
		}
	}
	if len(paths) != 2 {
		t.Fatalf("the units are %q", paths)
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		out, _ := exec.Command(analyze, append([]string{"verify", "--man=no"}, paths...)...).CombinedOutput()
		if strings.Contains(string(out), "comeback-shop") {
			t.Errorf("systemd-analyze: %s", out)
		}
	}
}

// cron's lines are what sh understands: the job runs, and its end is told of.
func TestCron(t *testing.T) {
	o := shop()
	o.Environment = filepath.Join(t.TempDir(), "env file")
	o.Program = "/bin/false"
	text := schedule.Cron(o)
	// No shell reads the file: to it a value may be a command.
	if !strings.Contains(text, "\nCOMEBACK_ENVIRONMENT="+o.Environment+"\n") || strings.Count(text, o.Environment) != 1 {
		t.Errorf("it is not comeback that reads %s:\n%s", o.Environment, text)
	}
	n := 0
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 7)
		if len(fields) < 7 || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		if fields[5] != "daemon" {
			t.Errorf("it runs as %s: %s", fields[5], line)
		}
		out, err := exec.Command("/bin/sh", "-c", strings.ReplaceAll(fields[6], `\%`, "%")).CombinedOutput()
		// The check's exit code 1 is a result: it counts as success.
		want := " failed\n"
		if strings.Contains(line, "'check'") {
			want = "shop-check $HOME\n"
		}
		if strings.Contains(line, "'receive'") && !strings.Contains(line, "test $? -eq 3") {
			t.Errorf("that it runs already is a failure: %s", line)
		}
		if err != nil || !strings.HasSuffix(string(out), want) {
			t.Errorf("%s: %v, %q", line, err, out)
		}
	}
	if n != 8 {
		t.Errorf("%d jobs:\n%s", n, text)
	}
}

// No two jobs that hold backups begin in the same minute: neither those of the night,
// nor one of them and a backup that is taken all day.
func TestJobs_apart(t *testing.T) {
	for _, rpo := range []time.Duration{0, 5 * time.Minute, 7 * time.Minute, 35 * time.Minute, 2 * time.Hour, 48 * time.Hour} {
		o := shop()
		o.RPO = rpo
		begins := map[int]string{} // by the minute of the day
		for line := range strings.Lines(schedule.Cron(o)) {
			fields := strings.Fields(line)
			name, job := "", strings.Contains(line, "'/bin/true'")
			switch {
			case job && strings.Contains(line, "'backup'"):
				name = fields[len(fields)-1] + " of " + line
			case job && strings.Contains(line, "'retain'"):
				name = "retain"
			default:
				continue
			}
			for minute := range 24 * 60 {
				if !cronMatches(t, fields[0], minute%60) || !cronMatches(t, fields[1], minute/60) {
					continue
				}
				if other := begins[minute]; other != "" {
					t.Errorf("RPO %s: at %02d:%02d begin %s and %s", rpo, minute/60, minute%60, other, name)
				}
				begins[minute] = name
			}
		}
		if !slices.Contains(slices.Collect(maps.Values(begins)), "retain") {
			t.Errorf("RPO %s: nothing is removed", rpo)
		}
	}
}

// What is done once in a night begins on every day of the year, and once: no zone leaves out
// its hour when the clocks are changed, or has it twice, as late as systemd may let it begin.
func TestJobs_clocks(t *testing.T) {
	begins := map[time.Duration]string{}
	for line := range strings.Lines(schedule.Cron(shop())) {
		fields := strings.Fields(line)
		if len(fields) < 7 || fields[0] == "#" {
			continue
		}
		minute, errMinute := strconv.Atoi(fields[0])
		if hour, err := strconv.Atoi(fields[1]); err == nil && errMinute == nil {
			begins[time.Duration(hour)*time.Hour+time.Duration(minute)*time.Minute] = line
		}
	}
	if len(begins) < 3 {
		t.Fatalf("in the night begin %q", begins)
	}
	for _, name := range []string{"Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Berlin", "Europe/Athens", "Europe/Helsinki", "Europe/Kyiv", "Atlantic/Azores", "America/New_York", "America/Havana",
		"America/Santiago", "America/Nuuk", "Pacific/Easter", "Asia/Beirut", "Asia/Jerusalem", "Africa/Cairo", "Africa/Casablanca", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Antarctica/Troll"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for day := range 366 {
			for at, line := range begins {
				for _, late := range []time.Duration{0, 10 * time.Minute} {
					wall := time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC).Add(at + late)
					is := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, zone)
					times := 0
					for shift := -3 * time.Hour; shift <= 3*time.Hour; shift += 15 * time.Minute {
						if is.Add(shift).Format("2006-01-02 15:04") == wall.Format("2006-01-02 15:04") {
							times++
						}
					}
					if times != 1 {
						t.Errorf("%s has %s %d times: %s", name, wall.Format("2006-01-02 15:04"), times, line)
					}
				}
			}
		}
	}
}

// cronMatches reports whether a field of a crontab, "*", "5", "*/5" or "1-23/5", means a value.
func cronMatches(t *testing.T, field string, value int) bool {
	t.Helper()
	if field == "*" {
		return true
	}
	text, each := strings.CutPrefix(field, "*/")
	first := 0
	if from, step, ranged := strings.Cut(field, "-23/"); ranged {
		each, text = true, step
		var err error
		if first, err = strconv.Atoi(from); err != nil {
			t.Fatalf("a field %q: %v", field, err)
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("a field %q: %v", field, err)
	}
	return each && value >= first && (value-first)%n == 0 || value == n && !each
}

// Files are never older in the copies than the RPO, although jobs begin late by what systemd
// may add, and take a fifth of the RPO; and no check looks while the backup of a night has
// just begun.
func TestJobs_pace(t *testing.T) {
	for _, rpo := range []time.Duration{5 * time.Minute, 7 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, 45 * time.Minute, time.Hour, 90 * time.Minute, 2 * time.Hour, 3 * time.Hour,
		5 * time.Hour, 7 * time.Hour, 12 * time.Hour, 20 * time.Hour, 24 * time.Hour, 30 * time.Hour, 48 * time.Hour, 72 * time.Hour} {
		o := shop()
		o.RPO = rpo
		var minute, hour string
		for line := range strings.Lines(schedule.Cron(o)) {
			if fields := strings.Fields(line); strings.Contains(line, "'uploads'") {
				minute, hour = fields[0], fields[1]
			}
		}
		late := time.Minute // the accuracy of timers
		for _, f := range schedule.Systemd(o) {
			if _, after, ok := strings.Cut(f.Text, "RandomizedDelaySec="); ok && f.Name == "comeback-shop-backup-uploads.timer" {
				seconds, err := strconv.Atoi(strings.Fields(after)[0])
				if err != nil {
					t.Fatal(err)
				}
				late += time.Duration(seconds) * time.Second
			}
		}
		const days = 7
		newest, worst, n := time.Duration(-1), time.Duration(0), 0
		var begun []time.Duration // of backups that have not ended
		for now := time.Duration(0); now < days*24*time.Hour; now += time.Minute {
			of := int(now / time.Minute)
			if cronMatches(t, minute, of%60) && cronMatches(t, hour, of/60%24) {
				begin := now
				if n++; n%2 == 0 {
					begin += late // every other one
				}
				begun = append(begun, begin)
			}
			for len(begun) > 0 && begun[0]+rpo/5 <= now {
				newest, begun = begun[0], begun[1:]
			}
			if newest >= 0 {
				worst = max(worst, now-newest)
			}
		}
		if newest < 0 || worst > rpo {
			t.Errorf("RPO %s: the newest is %s old (%s %s, up to %s late)", rpo, worst, minute, hour, late)
		}
	}
	minute := func(job string) (at int) {
		for line := range strings.Lines(schedule.Cron(shop())) {
			if fields := strings.Fields(line); strings.Contains(line, job) {
				n, err := strconv.Atoi(fields[0])
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				at = n
			}
		}
		return at
	}
	if apart := minute("'check'") - minute("'config'"); apart < 30 {
		t.Errorf("the check begins %d minutes after the backups of the night", apart)
	}
}

// Of rehearsals that are owed so often, one may fail: the one before it and the one after it
// are no farther apart.
func TestJobs_oneMayFail(t *testing.T) {
	const day = 24 * time.Hour
	for owed, want := range map[time.Duration]string{
		7 * day: "* * *", 14 * day: "* * *", 15 * day: "* * 0", 30 * day: "* * 0", 60 * day: "* * 0", 62 * day: "* * 0", 63 * day: "1 * *", 90 * day: "1 * *", 180 * day: "1 * *", 184 * day: "1 * *",
		185 * day: "1 */3 *", 365 * day: "1 */3 *",
	} {
		o := shop()
		o.Rehearse = owed
		found := ""
		for line := range strings.Lines(schedule.Cron(o)) {
			if strings.Contains(line, "'rehearse'") {
				found = strings.Join(strings.Fields(line)[2:5], " ")
			}
		}
		if found != want {
			t.Errorf("each %s: %q, want %q", owed, found, want)
		}
		var before []time.Time
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2029; at = at.Add(day) {
			is := map[string]bool{"* * *": true, "* * 0": at.Weekday() == time.Sunday, "1 * *": at.Day() == 1, "1 */3 *": at.Day() == 1 && at.Month()%3 == 1}[found]
			if !is {
				continue
			}
			if before = append(before, at); len(before) > 2 && at.Sub(before[len(before)-3]) > owed {
				t.Fatalf("each %s: %s to %s, when one fails", owed, before[len(before)-3].Format(time.DateOnly), at.Format(time.DateOnly))
			}
		}
	}
}

// What a job restores to and backs up through is where it may write, and is told so,
// whatever the shell that installed it had.
func TestSchedule_scratch(t *testing.T) {
	o := shop()
	o.Scratch = "/data/x"
	if text := schedule.Cron(o); !strings.Contains(text, "\nCOMEBACK_SCRATCH=/data/x\n") {
		t.Errorf("the crontab lacks it:\n%s", text)
	}
	for _, f := range schedule.Systemd(o) {
		restores := strings.HasSuffix(f.Name, "-rehearse.service") || strings.Contains(f.Name, "-backup-") && strings.HasSuffix(f.Name, ".service")
		if restores && (!strings.Contains(f.Text, "\nEnvironment=COMEBACK_SCRATCH=/data/x\n") || !strings.Contains(f.Text, "\nReadWritePaths=-/data/x\n")) {
			t.Errorf("%s lacks it:\n%s", f.Name, f.Text)
		}
	}
}

// A URL alone is fetched; a command that only has one in it is left as it is.
func TestSchedule_URL(t *testing.T) {
	o := shop()
	o.Success, o.Failure = []string{"https://hc.example.com/shop-{job}"}, []string{"http://hc.example.com/fail/{job}"}
	all := schedule.Cron(o)
	for _, f := range schedule.Systemd(o) {
		all += f.Text
	}
	for _, want := range []string{`ExecStartPost="curl" "-fsS" "--retry" "3" "https://hc.example.com/shop-check"`, `ExecStart="curl" "-fsS" "--retry" "3" "http://hc.example.com/fail/%i"`,
		`'curl' '-fsS' '--retry' '3' 'https://hc.example.com/shop-check'`, `'curl' '-fsS' '--retry' '3' 'http://hc.example.com/fail/check'`} {
		if !strings.Contains(all, want) {
			t.Errorf("it lacks %s:\n%s", want, all)
		}
	}
}
