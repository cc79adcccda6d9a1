package isolation

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread runs f on an OS thread that ends with it, and returns when f does.
// The signal that a child gets when its parent dies belongs to the thread that
// started it, so a program is started on a thread of its own that lives as long
// as the program. The process's first thread is spared: it cannot end, and
// /proc shows it as the process.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			// While this goroutine holds the first thread, another one is
			// given another.
			OnThread(f)
			runtime.UnlockOSThread()
			close(done)
			return
		}
		defer close(done)
		f() // stays locked: the runtime ends the thread
	}()
	<-done
}
