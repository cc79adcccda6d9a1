package isolation_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery/isolation"
)

// Sockets come and go while boxes are made.
func TestBox_SocketsComeAndGo(t *testing.T) {
	dir, stop, stopped := place(t), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, at := range []string{dir, filepath.Join(dir, "alone")} {
				if err := os.MkdirAll(at, 0o755); err != nil {
					t.Error(err)
				}
				l, err := net.Listen("unix", filepath.Join(at, "socket"))
				if err != nil {
					t.Error(err)
					return
				}
				l.Close()
				os.Remove(filepath.Join(dir, "alone"))
			}
		}
	}()
	for range 50 {
		if out, err := output(t, &isolation.Box{Processes: true}, nil, script(t, "true")); err != nil {
			t.Errorf("%s, %v", out, err)
		}
	}
	close(stop)
	<-stopped
}
