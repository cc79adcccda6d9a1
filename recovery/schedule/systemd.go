package schedule

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// File is a unit, by its name in the directory of units.
type File struct{ Name, Text string }

// Mark stands in every file that this package writes for a system; whoever removes
// them looks for it.
func Mark(system string) string {
	return "# Written by comeback schedule for the system " + system + "; --remove takes it away."
}

// Prefix is what the names of a system's units begin with.
func Prefix(system string) string { return "comeback-" + system + "-" }

// Systemd writes a service and a timer for each job, and one service that tells of
// failures.
func Systemd(o Options) []File {
	o.Success, o.Failure = fetching(o.Success), fetching(o.Failure)
	var files []File
	for _, j := range Jobs(o) {
		name := Prefix(o.System) + j.Name
		if j.Stays {
			files = append(files, File{name + ".service", o.service(j)})
			continue
		}
		systemd, _ := j.calendar()
		files = append(files, File{name + ".service", o.service(j)}, File{name + ".timer", fmt.Sprintf(`%s
[Unit]
Description=%s: %s

[Timer]
OnCalendar=%s
RandomizedDelaySec=%d
Persistent=true

[Install]
WantedBy=timers.target
`, Mark(o.System), o.System, j.Says, systemd, int(min(j.Each/10, 10*60*1e9).Seconds()))})
	}
	if len(o.Failure) > 0 {
		files = append(files, File{Prefix(o.System) + "failed@.service", fmt.Sprintf(`%s
[Unit]
Description=%s: tell that %%i failed

[Service]
Type=oneshot
User=%s
ExecStart=%s
%s
%s
%s
`, Mark(o.System), o.System, o.User, words(replaced(o.Failure, "%i"), "%i"), hardened, confined, privateTmp)})
	}
	return files
}

// What every service is kept from, and what those are besides that start no servers.
const (
	hardened = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK`
	confined = `RestrictNamespaces=yes
PrivateDevices=yes
ProtectKernelTunables=yes
SystemCallArchitectures=native`
	privateTmp = `PrivateTmp=yes`
	sharedTmp  = `# No PrivateTmp=yes: a live server has its socket below /tmp or /var/tmp, which that would hide.`
)

// fetching is a command, or what fetches a URL that stands for one.
func fetching(command []string) []string {
	if len(command) == 1 && (strings.HasPrefix(command[0], "https://") || strings.HasPrefix(command[0], "http://")) {
		return []string{"curl", "-fsS", "--retry", "3", command[0]}
	}
	return command
}

// service is a job, hardened: it reads the system, and writes where its job must.
func (o Options) service(j Job) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", Mark(o.System))
	line("[Unit]\nDescription=%s: %s", o.System, j.Says)
	// What is missed while a host is down is done when it comes up: not before its clock
	// is right, for a backup has its time of it. The target waits for that where
	// systemd-time-wait-sync.service, or chrony-wait.service, is enabled, and nowhere else.
	line("Wants=network-online.target time-sync.target\nAfter=network-online.target time-sync.target")
	if len(o.Failure) > 0 {
		line("OnFailure=%sfailed@%s.service", Prefix(o.System), j.Name)
	}
	if j.Stays {
		line("StartLimitIntervalSec=0\n\n[Service]\nType=exec\nRestart=always\nRestartSec=10\nUser=%s", o.User)
	} else {
		line("\n[Service]\nType=oneshot\nUser=%s", o.User)
	}
	line("ExecStart=%s", words(append([]string{o.Program}, j.Args...), ""))
	if len(o.Success) > 0 && !j.Stays {
		line("ExecStartPost=%s", words(replaced(o.Success, j.Name), ""))
	}
	if j.Findings {
		line("SuccessExitStatus=1")
	}
	line("Environment=%s", assignment("COMEBACK_STATE", o.State))
	if o.Scratch != "" && !j.Stays {
		line("Environment=%s", assignment("COMEBACK_SCRATCH", o.Scratch))
	}
	if o.Environment != "" {
		line("EnvironmentFile=-%s", escape(o.Environment))
	}
	line("Nice=10\nIOSchedulingClass=best-effort\nIOSchedulingPriority=7\nUMask=0077\nTimeoutStartSec=infinity")
	line("%s", hardened)
	writes := append([]string{o.State}, o.Writes...)
	if j.Scratches && o.Scratch != "" {
		writes = append(writes, o.Scratch)
	}
	if j.Measures && o.Metrics != "" {
		writes = append(writes, filepath.Dir(o.Metrics))
	}
	switch {
	case j.Restores:
		// Scratch servers are shut in namespaces, and their sockets lie in /tmp.
		writes = append(writes, "/tmp")
		// It ends before the host has to end something else.
		line("MemoryMax=50%%")
	case o.SharesTmp:
		writes = append(writes, "/tmp", "/var/tmp")
		line("%s\n%s", confined, sharedTmp)
	default:
		line("%s\n%s", confined, privateTmp)
	}
	slices.Sort(writes)
	for _, dir := range slices.Compact(writes) {
		line("ReadWritePaths=%s", oneOfList("-"+dir))
	}
	if j.Stays {
		line("\n[Install]\nWantedBy=multi-user.target")
	}
	return b.String()
}

// replaced puts a job's name into a command.
func replaced(command []string, job string) []string {
	out := slices.Clone(command)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "{job}", job)
	}
	return out
}

// words writes a command as systemd reads it; a specifier that is meant stays.
func words(command []string, specifier string) string {
	var out []string
	for _, w := range command {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "%", "%%", "\n", `\n`).Replace(w)
		if specifier != "" {
			quoted = strings.ReplaceAll(quoted, "%"+specifier, specifier)
		}
		out = append(out, `"`+quoted+`"`)
	}
	return strings.Join(out, " ")
}

// assignment writes a variable as systemd reads it among several.
func assignment(name, value string) string {
	if !strings.ContainsAny(value, " \t\"'\\") {
		return name + "=" + escape(value)
	}
	return `"` + escape(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name+"="+value)) + `"`
}

// oneOfList writes a path as systemd reads it in a list of them, where a backslash stands
// for itself.
func oneOfList(path string) string {
	if strings.ContainsAny(path, " \t") {
		return `"` + escape(path) + `"`
	}
	return escape(path)
}

// escape writes a path or a value that stands alone on its line.
func escape(text string) string { return strings.ReplaceAll(text, "%", "%%") }
