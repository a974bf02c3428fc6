//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// about describes the machine and the versions of all programs. dir is where mail is
// delivered.
func about(bin, dir string, contenders []contender) []string {
	versions := []string{firstLine(bin, "--version"), "dovecot " + firstLine("dovecot", "--version")}
	for _, c := range contenders {
		switch c.(type) {
		case mpop:
			versions = append(versions, firstLine("mpop", "--version"))
		case fdm:
			versions = append(versions, "fdm "+packageVersion("fdm"))
		case getmail:
			versions = append(versions, firstLine("getmail", "--version"))
		case fetchmail:
			versions = append(versions, firstLine("fetchmail", "-V"), firstLine("procmail", "-v"))
		}
	}
	return append(machine(dir), "Versions: "+strings.Join(versions, "; "))
}

// machine describes the date and the machine. dir is where mail is delivered.
func machine(dir string) []string {
	var u unix.Utsname
	unix.Uname(&u)
	var mem unix.Sysinfo_t
	unix.Sysinfo(&mem)
	return []string{
		"Date: " + time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		fmt.Sprintf("Machine: %s, %d cores, %d GiB, Linux %s, mail on %s", processor(), runtime.NumCPU(),
			uint64(mem.Totalram)*uint64(mem.Unit)>>30, unix.ByteSliceToString(u.Release[:]), fileSystem(dir)),
	}
}

// firstLine returns the first line that a program prints, without the list of features that
// fetchmail adds and the date that procmail adds.
func firstLine(program string, args ...string) string {
	cmd := exec.Command(program, args...)
	out, err := cmd.Output()
	if len(bytes.TrimSpace(out)) == 0 {
		out, err = exec.Command(program, args...).CombinedOutput() // procmail prints to stderr
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" && err != nil {
		return program
	}
	line, _, _ = strings.Cut(strings.TrimPrefix(line, "This is "), "+")
	line, _, _ = strings.Cut(line, " 2001/")
	return line
}

// packageVersion returns the version of a Debian package, for programs that do not print it.
func packageVersion(name string) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return "of unknown version"
	}
	return string(out)
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

// fileSystem returns the type of the file system of dir.
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "an unknown file system"
	}
	switch uint32(s.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (no disk: give -dir)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("file system %#x", uint32(s.Type))
}
