// Package isolation starts programs that cannot reach production: in a [Box].
//
// A box has a network with nothing but loopback, and the host's file system
// read-only but for temporary directories and what the box keeps. Hidden in it
// are what production is said to own, what else its maker names, every Unix
// socket that the host listened on, by a whole path and in this network, when
// the program was started, /run, and every device but the harmless ones. Its
// program has no way back: no capability beyond those over files and processes
// of its own, no set-uid program that would give it more. Where the box has
// processes of its own, none of the host's is in sight; where it has not,
// Landlock keeps the program from looking into them and, from Linux 6.12 on,
// from signalling them.
//
// What a box cannot hide, because the kernel does not tell of it, is a socket
// that the host makes later, one that a container of another network listens
// on, and one that a program has named from its own working directory, each
// where its path is neither below /run nor among what the box is told to hide.
//
// The box is built from the inside, by this very program, which starts itself
// once more: whoever starts boxes calls [Init] first thing in main.
//
// What a program without a process namespace leaves behind is found by its control group
// ([MakeCgroup], [EndCgroups]), where the host gives one: root has them wherever version 2 of
// them is mounted for writing.
package isolation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// Box is what a program is shut into.
type Box struct {
	// Production is what the program must not reach. Those that are absolute
	// paths are hidden; no address is reachable anyway.
	Production []string
	// Hide are further directories that the program must not reach, and everything that
	// is or will be below them.
	Hide []string
	// Beside are such directories of others in places that programs of boxes may write
	// to: one that has become a link, or lies behind one, is left out.
	Beside []string
	// Sockets are directories of which every socket is hidden, whoever listens on
	// it, and that are hidden whole where they hold nothing else.
	Sockets []string
	// Keep are the paths that stay as they are and writable, with all that is
	// below them: the run's own. What production owns below them is hidden
	// all the same.
	Keep []string
	// Processes gives the program a process namespace: it sees none of the
	// host's processes, and whatever it started ends with it. It gets shared
	// memory of its own, too. A PostgreSQL server must not have one, for
	// both are how it notices that another one serves its data.
	Processes bool
	// Terminal makes the program's standard input its controlling terminal,
	// in a session of its own. It needs Processes.
	Terminal bool
	// Door, where it is not nil, leads to the box's loopback from outside. It
	// needs Processes.
	Door *Door
	// Listen are addresses of the box's loopback that are listened on from
	// outside, before the program runs: [Door.Listeners] has them. It needs a
	// Door.
	Listen []string
	// Alive, where it is not nil, stays open in the box's init for as long as
	// anything in the box lives: who can lock it knows that nothing does. It
	// needs Processes.
	Alive *os.File
	// Cgroup, where it is not "", is the directory of a control group ([MakeCgroup]) that
	// everything in the box is in, from before the program runs.
	Cgroup string
}

// Start starts cmd inside the box, instead of cmd.Start; cmd.Wait follows. The
// error is recovery.ErrNoIsolation with the kernel's words where the host gives
// no box; then nothing was started. Otherwise it is why this box could not be
// made on a host that gives them, why the program could not be executed, or why
// cmd's context had ended before.
//
// A parent-death signal that cmd asks for reaches the program, whatever user it
// runs as; it belongs to the calling thread, which must be one of [OnThread].
// With Processes, the signals that ask a program to end are passed on to its
// process group, and one that died of a signal exits with 128 and its number.
func (b Box) Start(cmd *exec.Cmd) (err error) {
	if !ready {
		return fmt.Errorf("%w: this program does not call isolation.Init", recovery.ErrNoIsolation)
	}
	if cmd.Err != nil {
		return cmd.Err
	}
	o, err := b.orders(cmd)
	if err != nil {
		return err
	}
	if b.Alive != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, b.Alive)
		o.Alive = 2 + len(cmd.ExtraFiles)
	}
	if b.Door != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, b.Door.inside)
		o.Door, o.Listen = 2+len(cmd.ExtraFiles), b.Listen
		defer func() { err = errors.Join(err, b.Door.shutInside()) }()
	}
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the box: %w", err)
	}
	report, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start in a box: %w", err)
	}
	defer report.Close()
	ordered, order, err := os.Pipe() // an argument has bounds
	if err != nil {
		tell.Close()
		return fmt.Errorf("start in a box: %w", err)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, ordered, tell)
	files := 3 + len(cmd.ExtraFiles)
	cmd.Args = append([]string{marker, strconv.Itoa(files - 2), strconv.Itoa(files - 1), cmd.Path}, cmd.Args...)
	cmd.Path, cmd.Dir = initProgram(), "/"
	b.namespaces(cmd.SysProcAttr)
	began := make(chan struct{})
	begun := sync.OnceFunc(func() { close(began) })
	defer begun()
	if cancel := cmd.Cancel; cancel != nil {
		// The kernel drops a signal for the first process of a namespace until
		// that has asked for it.
		cmd.Cancel = func() error { <-began; return cancel() }
	}
	err = cmd.Start()
	tell.Close()
	ordered.Close()
	var outside error // of its control group: then it gets no orders
	if err == nil && b.Cgroup != "" {
		outside = join(b.Cgroup, cmd.Process.Pid)
	}
	if err == nil && outside == nil {
		// An init that dies meanwhile tells by that, and does nothing by a part of them.
		_, _ = order.Write(text)
	}
	order.Close()
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // the box is not at fault: nobody wants the program any more
	case errors.Is(err, unix.E2BIG), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("start in a box: %w", err) // which programs can bring about
	case err != nil:
		return fmt.Errorf("%w: %w", recovery.ErrNoIsolation, err)
	}
	words, err := io.ReadAll(report)
	if outside != nil {
		begun()
		return errors.Join(fmt.Errorf("put what is started into its control group: %w", outside), err, notExit(cmd.Wait()))
	}
	if err == nil && len(words) == 0 {
		return nil // the program runs, or was stopped before it could
	}
	// Nothing runs in there; Wait only takes it off the list. It waits for Cancel.
	begun()
	return errors.Join(failure(words), err, notExit(cmd.Wait()))
}

// orders is what the program's init is to do. cmd is relieved of what init does
// in its place.
func (b Box) orders(cmd *exec.Cmd) (orders, error) {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	cmd.SysProcAttr = &attr // the caller may have more use for its own
	hide, keep, err := b.paths()
	if err != nil {
		return orders{}, err
	}
	o := orders{Hide: hide, Keep: keep, Processes: b.Processes, Terminal: b.Terminal, Dir: cmd.Dir, Death: attr.Pdeathsig, UID: -1, GID: -1}
	if c := attr.Credential; c != nil {
		o.UID, o.GID = int(c.Uid), int(c.Gid)
		attr.Credential = nil
	}
	return o, nil
}

// namespaces asks for what the box consists of. An unprivileged user needs a
// user namespace, in which its init may do what root may.
func (b Box) namespaces(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= syscall.CLONE_NEWNS | syscall.CLONE_NEWNET
	if b.Processes {
		attr.Cloneflags |= syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP, unix.CAP_DAC_OVERRIDE}
	}
}

// Available says why this host gives no box, by trying; nil if it does.
func Available() error {
	var err error
	OnThread(func() {
		cmd := exec.Command("/bin/true")
		if err = (Box{Processes: true}).Start(cmd); err == nil {
			err = cmd.Wait()
		}
	})
	return err
}

// notExit is an error that is not just the way a process ended.
func notExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
