# comeback: `make` lists the targets.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION) -X main.commit=$(COMMIT)
TOOLS   := $(CURDIR)/.tools/bin
GO      ?= go

.DEFAULT_GOAL := help
.PHONY: help build demo test majors test-majors soak-majors check soak bench bench-parts tools standin sshd child tidy clean needs

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./comeback
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o comeback ./cmd/comeback

demo: needs build ## a shop, its backups, an incident and a signed rehearsal, in ./demo
	./comeback demo --dir demo

# The race detector makes every process wait for a second when it ends, so that
# its last goroutines may be seen to race; these tests start hundreds. They often
# wait for a server, so that one package more than there are processors is tested
# at a time. Nothing is taken from the cache: the log that go test keeps for it is
# a file of the process, and some tests let no file grow.
AT_ONCE := $(shell expr $$(nproc) + 1)
test: needs tools sshd child ## all tests, with the race detector
	GORACE=atexit_sleep_ms=0 COMEBACK_TOOLS=$(TOOLS) COMEBACK_CHILD=$(TOOLS)/comeback.test .ci/in-memory $(GO) test -race -vet=off -ldflags=-w -count=1 -p $(AT_ONCE) -timeout 60m ./...

majors: ## PostgreSQL 13, 17 and 18 beside the machine's own, in .tools/majors
	@./.ci/majors

test-majors: needs tools sshd child ## what works, shown on PostgreSQL 13, 17 and 18
	COMEBACK_TOOLS=$(TOOLS) COMEBACK_CHILD=$(TOOLS)/comeback.test .ci/in-memory .ci/test-majors

soak-majors: needs tools sshd child ## all tests on PostgreSQL 13, 17 and 18
	ALL=1 COMEBACK_TOOLS=$(TOOLS) COMEBACK_CHILD=$(TOOLS)/comeback.test .ci/in-memory .ci/test-majors

soak: needs tools sshd ## the exhaustive suites: a kill at every entry of a run, a year of nights, long fuzzing; KILLS=12 kills each kind of backup so often only
	COMEBACK_SOAK=1 COMEBACK_TOOLS=$(TOOLS) $(GO) test -timeout 4h -run 'TestResume|anyCommit|[aA]fterKill|TestRescue|TestMonth' ./cmd/comeback
	COMEBACK_SOAK=1 COMEBACK_KILLS=$(KILLS) COMEBACK_TOOLS=$(TOOLS) $(GO) test -timeout 12h -run 'TestBackup_killed|TestRetain_killed' ./cmd/comeback
	COMEBACK_SOAK=1 COMEBACK_TOOLS=$(TOOLS) $(GO) test -timeout 4h ./recovery/... ./runbooks/...
	.ci/fuzz 2m

bench: tools ## comeback against other tools, a table; ROW=plain,custom SIZE=1000 (MB) PAIRS=3 choose
	@./.ci/needs rclone
	$(GO) run ./bench -row '$(ROW)' -size $(or $(SIZE),1000) -pairs $(or $(PAIRS),3) -write
	@test -n '$(ROW)' || $(MAKE) --no-print-directory bench-parts

bench-parts: # attach, terminal traffic, reading the log against one pg_waldump
	$(GO) test -run '^$$' -bench 'Attach|attach|Reader|Parse|FirstFrame|FirstScreen|KeyEcho|Lines100000' ./recovery/runner ./tui ./recovery/pitr/scan ./cmd/comeback
	$(GO) test -run '^$$' -bench Survey ./recovery/pitr
	$(GO) test -run 'TestTraffic' -v ./tui

check: tools ## gofmt, vet, staticcheck, the layers, go mod tidy
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...
	$(TOOLS)/depguard ./...
	$(GO) mod tidy -diff

needs: # PostgreSQL, ssh-keygen and git, installed where apt-get can, named where not
	@./.ci/needs

tools: $(TOOLS)/staticcheck $(TOOLS)/depguard $(TOOLS)/versitygw standin # the first three are built once, pinned by tools/go.mod

sshd: # what the tests of --on connect to, never installed
	@./.ci/sshd $(TOOLS)/openssh

standin: # of this tree: what the tests start where the race detector sees nothing, and instead of initdb
	$(GO) build -o $(TOOLS)/ ./enginetest/standin ./enginetest/initdb

child: # of this tree: the runs of tests, without the race detector
	$(GO) test -c -vet=off -ldflags=-w -o $(TOOLS)/comeback.test ./cmd/comeback

$(TOOLS)/staticcheck: tools/go.mod
	cd tools && $(GO) build -o $@ honnef.co/go/tools/cmd/staticcheck

$(TOOLS)/depguard: tools/go.mod
	cd tools && $(GO) build -o $@ github.com/OpenPeeDeeP/depguard/v2/cmd/depguard

$(TOOLS)/versitygw: tools/go.mod
	cd tools && $(GO) build -o $@ github.com/versity/versitygw/cmd/versitygw

clean: ## remove what make built
	rm -rf comeback .tools
