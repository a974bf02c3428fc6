//go:build linux

package servertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// cacheDir is where unpacked packages stay for later runs.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = "/var/tmp"
	}
	return filepath.Join(dir, "popfetch-servers")
}

// unpack downloads Debian packages and what they depend on, and returns the directory that
// holds their files. Nothing is installed, so packages that exclude each other do not
// matter. Later calls find the directory in the cache.
func unpack(packages ...string) (dir string, err error) {
	name := strings.Join(packages, "+")
	dir = filepath.Join(cacheDir(), name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	needed, err := dependencies(packages)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cacheDir(), 0o755); err != nil {
		return "", err
	}
	// Unpacked under another name and then renamed: the directory is never incomplete.
	work, err := os.MkdirTemp(cacheDir(), name+".")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	debs, files := filepath.Join(work, "debs"), filepath.Join(work, "files")
	if err := errors.Join(os.Mkdir(debs, 0o755), os.Mkdir(files, 0o755)); err != nil {
		return "", err
	}
	if err := apt(debs, append([]string{"download"}, needed...)...); err != nil {
		return "", err
	}
	archives, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return "", err
	}
	for _, deb := range archives {
		if out, err := exec.Command("dpkg", "-x", deb, files).CombinedOutput(); err != nil {
			return "", fmt.Errorf("dpkg -x %s: %w: %s", filepath.Base(deb), err, out)
		}
	}
	if err := mergeUsr(files); err != nil {
		return "", err
	}
	err = os.Rename(files, dir)
	if _, there := os.Stat(dir); there == nil {
		return dir, nil // another process was faster
	}
	return dir, err
}

// dependencies are the packages themselves and all that they need and this machine lacks.
func dependencies(packages []string) ([]string, error) {
	simulate := func() ([]byte, error) {
		cmd := exec.Command("apt-get", append([]string{"--simulate", "--no-install-recommends", "install"}, packages...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		return cmd.CombinedOutput()
	}
	out, err := simulate()
	if err != nil { // without lists of packages, or with old ones
		if err := apt("", "update"); err != nil {
			return nil, err
		}
		out, err = simulate()
	}
	if err != nil {
		return nil, fmt.Errorf("apt-get --simulate install %s: %w: %.300s", strings.Join(packages, " "), err, out)
	}
	var needed []string
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "Inst" {
			needed = append(needed, words[1])
		}
	}
	for _, p := range packages { // what is installed may be configured in some other way
		if !slices.Contains(needed, p) {
			needed = append(needed, p)
		}
	}
	return needed, nil
}

func apt(dir string, args ...string) error {
	cmd := exec.Command("apt-get", append([]string{"-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "APT::Sandbox::User=root"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %.300s", args[0], err, out)
	}
	return nil
}

// mergeUsr moves bin, lib and the like below usr, as dpkg does on a system where they are
// links to there.
func mergeUsr(dir string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		from, to := filepath.Join(dir, name), filepath.Join(dir, "usr", name)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
			return fmt.Errorf("cp: %w: %s", err, out)
		}
		if err := os.RemoveAll(from); err != nil {
			return err
		}
	}
	return nil
}
