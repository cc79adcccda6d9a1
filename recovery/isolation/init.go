package isolation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// marker is the name under which the program starts itself as the init of a
// box. What follows it are the numbers of the files that its orders come by and
// that it reports to, the program's path and the program's arguments with its
// name.
const marker = "comeback: init of a box"

// ready says that Init was called, so that this program can be an init.
var ready bool

// orders are what an init is to do, all decided outside.
type orders struct {
	Hide      []string `json:"hide,omitempty"`
	Keep      []string `json:"keep,omitempty"`
	Processes bool     `json:"processes,omitempty"`
	Terminal  bool     `json:"terminal,omitempty"`
	// Door and Alive are numbers of files that are only init's; 0 is none.
	Door  int `json:"door,omitempty"`
	Alive int `json:"alive,omitempty"`
	// Listen are the addresses whose listeners go out through the door.
	Listen []string       `json:"listen,omitempty"`
	Dir    string         `json:"dir,omitempty"`
	Death  syscall.Signal `json:"death,omitempty"`
	// UID and GID are who the program runs as; -1 is who init is.
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Init makes this program able to start boxes. It must be the first thing that
// main, or a TestMain, calls: where the process is to be the init of a box, it
// never returns.
func Init() {
	ready = true
	if len(os.Args) < 5 || os.Args[0] != marker {
		return
	}
	orderFD, err := strconv.Atoi(os.Args[1])
	if err != nil {
		syscall.Exit(broken)
	}
	fd, err := strconv.Atoi(os.Args[2])
	if err != nil {
		syscall.Exit(broken)
	}
	unix.CloseOnExec(fd) // its end tells that the program runs
	report := os.NewFile(uintptr(fd), "report")
	err = run(os.NewFile(uintptr(orderFD), "orders"), report)
	c := confession{Program: errors.Is(err, errProgram), Hiding: errors.Is(err, errHiding), Words: err.Error()}
	if b, encodeErr := json.Marshal(c); encodeErr == nil {
		_, _ = report.Write(b) // where nobody reads, nobody is there to be told
	}
	syscall.Exit(broken)
}

// broken is the exit code of an init that has reported why.
const broken = 125

// errProgram says that the box is fine and the program could not be executed.
var errProgram = errors.New("execute the program")

// errHiding says that the host gives boxes, and that what this one is to hide or
// to keep does not let it be made. Programs of other boxes may have brought that
// about: it is no reason to do without one.
var errHiding = errors.New("make the box")

// confession is what an init reports before it gives up.
type confession struct {
	Program bool   `json:"program"`
	Hiding  bool   `json:"hiding"`
	Words   string `json:"words"`
}

// failure is the error of an init that gave up.
func failure(report []byte) error {
	var c confession
	if err := json.Unmarshal(report, &c); err != nil {
		return fmt.Errorf("%w: its init said %q", recovery.ErrNoIsolation, report)
	}
	if c.Program || c.Hiding {
		return errors.New(c.Words)
	}
	return fmt.Errorf("%w: %s", recovery.ErrNoIsolation, c.Words)
}

// run reads the orders, builds the box around this process, gives up what would
// lead out, and executes the program, which comes in its place or, with
// processes of its own, below it. It returns only what went wrong before the
// program ran.
func run(ordered, report *os.File) error {
	runtime.LockOSThread() // capabilities and users are a thread's
	var o orders
	text, err := io.ReadAll(ordered)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err = errors.Join(err, ordered.Close()); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	path, args := os.Args[3], os.Args[4:]
	for _, own := range []int{o.Door, o.Alive} {
		if own > 0 {
			unix.CloseOnExec(own)
		}
	}
	if err := raiseLoopback(); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	if err := handOut(o.Door, o.Listen); err != nil {
		return fmt.Errorf("hand out listeners: %w", err)
	}
	if err := o.build(); err != nil {
		return err
	}
	if err := confine(o.UID, o.GID); err != nil {
		return err
	}
	if err := scope(); err != nil {
		return err
	}
	// A change of user forgets the parent-death signal. If the parent died
	// before this, nobody holds the other end of the report.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(o.Death), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to die with the parent: %w", err)
	}
	if o.Death != 0 && abandoned(report) {
		return errors.New("the parent is dead")
	}
	if o.Processes {
		return o.supervise(path, args, report)
	}
	if o.Dir != "" {
		if err := os.Chdir(o.Dir); err != nil {
			return fmt.Errorf("%w: %w", errProgram, err)
		}
	}
	return fmt.Errorf("%w: %w", errProgram, &os.PathError{Op: "exec", Path: path, Err: unix.Exec(path, args, os.Environ())})
}

// abandoned reports whether nobody reads the report any more.
func abandoned(report *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(report.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
