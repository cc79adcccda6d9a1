package execute

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"comeback/recovery"
)

// slowLog is a log on a disk that takes what it is given when the test says so.
type slowLog struct {
	*stepsLog
	asked chan struct{} // what was said is on its way to the disk
	takes chan struct{}
}

func (l slowLog) flush() error {
	l.asked <- struct{}{}
	<-l.takes
	return l.stepsLog.flush()
}

// onSlowDisk is the meter of a step whose log is on such a disk.
func onSlowDisk(t *testing.T) (*meter, slowLog) {
	t.Helper()
	x := &Executor{Options: Options{Dir: t.TempDir(), Now: time.Now, Secrets: NewSecrets(func(string) (string, bool) { return "", false }, nil)}}
	m := x.newMeter(recovery.Step{ID: "s"})
	made, err := createLog(x.Dir, "s.log", 0)
	if err != nil {
		t.Fatal(err)
	}
	l := slowLog{made, make(chan struct{}), make(chan struct{})}
	m.log.begin = func() (logFile, error) { return l, nil }
	return m, l
}

// shows are the lines that a meter has to show.
func shows(t *testing.T, m *meter) []string {
	t.Helper()
	s, ok := m.take(time.Now())
	if !ok {
		t.Error("there is nothing to show")
	}
	return s.Lines
}

// While the disk takes what a program has said, the program goes on, and its progress is seen.
// A line is shown when it can be read in the log, and not before.
func TestMeter_slowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, l := onSlowDisk(t)
		m.Phase("copy", 10, recovery.InBytes)
		m.Log("first")
		<-l.asked
		m.Log("second")
		m.Add(7)
		if s, ok := m.take(time.Now()); !ok || s.Done != 7 || len(s.Lines) > 0 {
			t.Errorf("while the disk is at it: %+v", s)
		}
		l.takes <- struct{}{}
		<-l.asked // the second one
		if lines := shows(t, m); !slices.Equal(lines, []string{"first"}) {
			t.Errorf("once the first line is there %q is shown", lines)
		}
		l.takes <- struct{}{}
		kept, err := m.close()
		if err != nil || len(kept) != 1 || kept[0].Name != "s.log" || kept[0].Size != int64(len("15:04:05.000 first\n15:04:05.000 second\n")) {
			t.Errorf("kept is %+v, %v", kept, err)
		}
	})
}

// What says more than a slow disk takes waits for it: the log lacks nothing, and what waits to
// be written is bounded.
func TestMeter_saysMoreThanTheDiskTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, l := onSlowDisk(t)
		const many, wide = 400, 16 << 10
		said := 0
		go func() {
			for i := range many {
				m.Log(fmt.Sprintf("%d %s", i, strings.Repeat("x", wide)))
				said++
			}
			m.log.end()
			close(l.asked)
		}()
		for range l.asked {
			synctest.Wait() // what can be said has been
			if m.log.bytes >= maxUnwritten+2*wide || said < many && m.log.bytes < maxUnwritten {
				t.Fatalf("%d bytes wait when %d lines were said", m.log.bytes, said)
			}
			l.takes <- struct{}{}
		}
		kept, err := m.close()
		if err != nil || len(kept) != 1 || kept[0].Size < many*wide {
			t.Errorf("kept is %+v, %v", kept, err)
		}
	})
}
