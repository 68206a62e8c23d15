# make demo   see a pair at work
# make test   everything that is tested, on this kernel and in a guest
# make        build bin/haldir

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     ?= development
BIN         := bin/haldir

# Real servers that checks are tested against.
SERVERS := nginx,haproxy,unbound,redis-server,postfix,mariadbd,postgres

# Packages whose tests need ip_vs or the tunnel modules. They run in the guest
# kernel where this one lacks them.
GUEST_TESTS := ./ipvsctl/ipvsnl ./internal/netif ./internal/doctor ./realserver ./lab

# The guest's kernel: 6.1 or 6.12, of Debian. What is tested of the other one is
# how IPVS itself behaves, which is where kernels differ.
KERNEL       ?= 6.1
OTHER_KERNEL := $(if $(filter 6.12,$(KERNEL)),6.1,6.12)
KERNEL_TESTS := OnTheKernel|OfTheKernels|Ipvsadm|Moby|ModuleIs|CountersOf|^TestTimeouts

export CGO_ENABLED = 0
# Programs that Debian keeps out of an ordinary user's path.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: build demo test lint test-native test-guest fuzz bench-checks bench-vrrp bench-ipvs install clean

build:
	$(GO) build -trimpath -ldflags '-s -w -X main.versionName=$(VERSION)' -o $(BIN) ./cmd/haldir

demo: build
	$(BIN) lab demo

test: lint test-native test-guest test-kernel

lint:
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# The race detector needs cgo. One package at a time: the namespace tests
# measure time.
test-native:
	scripts/install-test-tools
	HALDIR_TEST_REQUIRE=root,keepalived,frr,guest,firewall,$(SERVERS) CGO_ENABLED=1 $(GO) test -race -timeout 5m -p 1 ./...

test-guest: build
	scripts/install-test-tools
	$(GO) run ./lab/guest/guestrun -kernel $(KERNEL) -timeout 15m -with ipvsadm -with ip -file /data/haldir=$(BIN) \
		-env HALDIR_BINARY=/data/haldir -env HALDIR_TEST_REQUIRE=root,ipvs,ipvsadm \
		$(addprefix -test ,$(GUEST_TESTS)) -- -test.v

.PHONY: test-kernel
test-kernel:
	scripts/install-test-tools
	$(GO) run ./lab/guest/guestrun -kernel $(OTHER_KERNEL) -timeout 5m -with ipvsadm \
		-env HALDIR_TEST_REQUIRE=root,ipvs,ipvsadm -test ./ipvsctl/ipvsnl -- -test.run '$(KERNEL_TESTS)'

# A minute for each fuzz target.
fuzz:
	scripts/fuzz 60s

# What health checks cost on this machine, in a namespace of their own, and beside
# keepalived in the guest.
bench-checks: build
	HALDIR_BINARY=$(CURDIR)/$(BIN) $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 20m ./lab/checkbench
	$(GO) test -run '^$$' -bench Verdict -benchtime 300x ./internal/director
	$(GO) run ./lab/guest/guestrun -timeout 10m -with keepalived -file /data/haldir=$(BIN) -env HALDIR_BINARY=/data/haldir \
		-test ./lab/checkbench -- -test.run '^$$' -test.bench BesideKeepalived -test.benchtime 1x

# VRRP beside keepalived, in namespaces: about 45 minutes. HALDIR_BENCH_DRILLS and
# HALDIR_BENCH_SPAN shorten it; BENCH selects, as BENCH=ManyRouters.
BENCH ?= .
bench-vrrp: build
	scripts/install-test-tools
	HALDIR_BINARY=$(CURDIR)/$(BIN) $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 2h ./lab/vrrpbench

# IPVS: the plan, a reload and the loading of a file on this kernel; then, in the
# guest, what the kernel takes and keepalived beside haldir: about 20 minutes.
# HALDIR_BENCH_RELOADS and HALDIR_BENCH_SETTLE shorten it.
bench-ipvs: build
	scripts/install-test-tools
	$(GO) test -run '^$$' -bench 'Plan|Load$$|Reload' -benchtime 20x ./ipvsctl ./internal/config ./internal/director
	$(GO) run ./lab/guest/guestrun -timeout 30m -with keepalived -file /data/haldir=$(BIN) -env HALDIR_BINARY=/data/haldir \
		$(foreach v,HALDIR_BENCH_RELOADS HALDIR_BENCH_SETTLE,$(if $($v),-env $v=$($v))) \
		-test ./ipvsctl/ipvsnl -test ./lab/ipvsbench -- -test.run '^$$' -test.bench 'Load|IPVS|Takeover' -test.benchtime 2x

install: build
	install -D -m 755 $(BIN) $(DESTDIR)/usr/sbin/haldir
	install -D -m 644 etc/systemd/haldir.service $(DESTDIR)/lib/systemd/system/haldir.service
	install -D -m 644 etc/systemd/haldir-realserver.service $(DESTDIR)/lib/systemd/system/haldir-realserver.service
	test -e $(DESTDIR)/etc/haldir/haldir.toml || install -D -m 644 etc/haldir.toml $(DESTDIR)/etc/haldir/haldir.toml

clean:
	rm -rf bin dist
