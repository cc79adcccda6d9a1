package port

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// A kept port answers nobody, is given to nobody who asks for any, and to who asks for it.
func TestKeep(t *testing.T) {
	k, err := Keep()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", k.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("somebody answers: %v, %v", c, err)
	}
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().(*net.TCPAddr).Port == k.Number {
			t.Fatal("somebody else was given the port")
		}
	}
	l, err := net.Listen("tcp", k.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	c, err := net.Dial("tcp", k.Address())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
