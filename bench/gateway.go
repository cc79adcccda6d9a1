package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/port"
)

// gateway is a real S3 server on a port of this host.
type gateway struct {
	cmd *exec.Cmd
	url string
	// far stands before it, where it is to be far away.
	far *far
	// authority is the certificate that it is trusted by, where it speaks TLS.
	authority string
}

// gatewayOptions say how a gateway is reached.
type gatewayOptions struct {
	// TLS is for clients that speak nothing else.
	TLS bool
	// Far has it reached as one that is far away, from begin on.
	Far bool
}

// startGateway starts one that keeps its objects below dir, in the bucket bench. It is
// stopped with the bench.
func (b *bench) startGateway(ctx context.Context, dir string, o gatewayOptions) (*gateway, error) {
	g, err := b.serveObjects(ctx, dir, o.TLS)
	if err != nil {
		return nil, err
	}
	b.stopLater(g.stop)
	if o.Far {
		err = g.reachedFar()
	}
	return g, err
}

func (b *bench) serveObjects(ctx context.Context, dir string, overTLS bool) (*gateway, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil { // a server's user reads the certificate
		return nil, err
	}
	for _, d := range []string{"data/bench", "versions", "iam"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	kept, err := port.Keep()
	if err != nil {
		return nil, err
	}
	defer kept.Close() // by then the server has it, or there is none
	address := kept.Address()
	g := &gateway{url: "http://" + address}
	client := http.DefaultClient
	var more []string
	if overTLS {
		base := httptest.NewUnstartedServer(nil)
		base.StartTLS() // for its certificate and its client
		defer base.Close()
		g.url, g.authority, client = "https://"+address, filepath.Join(dir, "cert.pem"), base.Client()
		key, err := x509.MarshalPKCS8PrivateKey(base.TLS.Certificates[0].PrivateKey)
		if err != nil {
			return nil, err
		}
		err = errors.Join(os.WriteFile(g.authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: base.Certificate().Raw}), 0o644),
			os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
		if err != nil {
			return nil, err
		}
		more = []string{"--cert", g.authority, "--key", filepath.Join(dir, "key.pem")}
	}
	g.cmd = exec.CommandContext(ctx, filepath.Join(b.root, ".tools/bin/versitygw"), append(more, "--port", address, "--region", "eu-central-1", "--keep-alive", "--quiet",
		"--health", "/healthz", "--iam-dir", filepath.Join(dir, "iam"), "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))...)
	g.cmd.Env = []string{"ROOT_ACCESS_KEY=bench", "ROOT_SECRET_KEY=bench-secret"}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if r, err := client.Get(g.url + "/healthz"); err == nil {
			r.Body.Close()
			return g, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.stop()
	return nil, errors.New("the S3 server does not answer")
}

// reachedFar lets the server be reached as one that is far away, from the time on at which
// its far is on.
func (g *gateway) reachedFar() (err error) {
	address := g.url[strings.Index(g.url, "://")+len("://"):]
	if g.far, err = startFar(address); err == nil {
		g.url = strings.Replace(g.url, address, g.far.address(), 1)
	}
	return err
}

// begin lets what is far away be it.
func (g *gateway) begin() {
	if g != nil && g.far != nil {
		g.far.on.Store(true)
	}
}

func (g *gateway) stop() {
	if g.far != nil {
		g.far.stop()
	}
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}

// busy is how long it has worked so far, in processor time; nothing where the kernel
// does not tell.
func (g *gateway) busy() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	fields := strings.Fields(string(after))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks are hundredths of a second
}

// tell says how much of the processors it took since it had worked that long.
func (g *gateway) tell(before time.Duration) {
	fmt.Fprintf(os.Stderr, "  the S3 server took %.1f s of processors\n", (g.busy() - before).Seconds())
}

func (g *gateway) env() []string {
	env := os.Environ()
	if g.authority != "" {
		env = append(env, "AWS_CA_BUNDLE="+g.authority)
	}
	return append(env, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench-secret", "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_EC2_METADATA_DISABLED=true")
}

// client speaks to it, where it speaks no TLS.
func (g *gateway) client() *s3.Client {
	return s3.New(s3.Options{Region: "eu-central-1", BaseEndpoint: &g.url, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("bench", "bench-secret", "")})
}
