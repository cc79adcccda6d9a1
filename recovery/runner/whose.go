package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"comeback/recovery"
)

// ours refuses to go on with a run that another user has begun, whose journal that is. What
// it has restored is closed to everybody else, and its servers run as that user: to who
// goes on as another, and be it root, all of that seems to be lost, and is restored again.
func (o *Options) ours(journal *os.File) error {
	info, err := journal.Stat()
	if err != nil {
		return fmt.Errorf("see whose run %s is: %w", o.Plan.Run, err)
	}
	uid := uidOf(info)
	if uid < 0 || uid == os.Geteuid() {
		return nil
	}
	// A file server may give everything to one user, whoever writes it.
	if made, err := o.Home.givenTo(); err != nil || made == uid {
		return err
	}
	who := operatorOf(uint32(uid), "")
	return recovery.Errorf(fmt.Sprintf("go on as %s: %s; or give back what it has made: comeback stop %s", who, as(uid, "comeback resume "+o.Plan.Run), o.Plan.Run),
		"refused: run %s was begun by %s, and nobody else can use what it has restored", o.Plan.Run, who).WithExit(recovery.Refused)
}

// here refuses to take a run up, or to stop it, on another host than the one that it was begun
// on.
func (o *Options) here(s *recovery.State, stop string) error {
	if stop != "" {
		return Here(s, o.Host, "comeback stop "+s.Run)
	}
	return Here(s, o.Host, "comeback resume "+s.Run)
}

// Here refuses a command about what a run has made where this host, of the given name, is not
// the one that the run was begun on, as where hosts share a state directory: what is there
// seems to be gone here. A host that was renamed since it was last started is the same one.
func Here(s *recovery.State, host, command string) error {
	if s.Host == "" || s.Host == host || s.BootID != "" && s.BootID == bootID() {
		return nil
	}
	return recovery.Errorf(fmt.Sprintf("on %s: %s; if this is that host and was renamed, or stands in its place, call it so first: sudo hostname %[1]s", s.Host, command),
		"refused: run %s was carried out on %s, what it has made is there, and this is %s", s.Run, s.Host, host).WithExit(recovery.Refused)
}

// givenTo is whom a file belongs to that this process makes beside the runs.
func (h Home) givenTo() (uid int, err error) {
	f, err := os.CreateTemp(h.Runs(), ".whose-")
	if err != nil {
		return 0, fmt.Errorf("see whose files are made in %s: %w", h.Runs(), err)
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return 0, fmt.Errorf("see whose files are made in %s: %w", h.Runs(), err)
	}
	return uidOf(info), nil
}

// uidOf is the user whom a file belongs to; -1 where it does not say.
func uidOf(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// as is a command line that is carried out as a user of this host.
func as(uid int, line string) string {
	if uid == 0 {
		return "sudo " + line
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return "sudo -u " + u.Username + " " + line
	}
	return fmt.Sprintf("sudo -u '#%d' %s", uid, line)
}
