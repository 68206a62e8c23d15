package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// versionName is set by the linker for a release.
var versionName = "development"

// release is the version and commit of this binary.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versionName
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return versionName + " " + s.Value[:12]
		}
	}
	return versionName
}

type versionInfo struct {
	Release string `json:"release"`
	Go      string `json:"go"`
	Kernel  string `json:"kernel"`
	IPVS    string `json:"ip_vs"`
}

func newVersion(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit, Go version, kernel and ip_vs",
		Example: "  haldir version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionInfo{Release: release(), Go: runtime.Version(), Kernel: "unknown", IPVS: "not in this kernel, or not loaded"}
			if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
				v.Kernel = strings.TrimSpace(string(data))
			}
			if data, err := os.ReadFile("/proc/net/ip_vs"); err == nil {
				first, _, _ := strings.Cut(string(data), "\n")
				v.IPVS = strings.TrimPrefix(first, "IP Virtual Server version ")
			}
			if s.json {
				return printJSON(s.stdout, v)
			}
			_, err := fmt.Fprintf(s.stdout, "haldir %s\n%s\nkernel %s\nip_vs  %s\n", v.Release, v.Go, v.Kernel, v.IPVS)
			return err
		},
	}
	s.addJSON(cmd)
	return cmd
}
