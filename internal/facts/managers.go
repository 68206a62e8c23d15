package facts

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/haldir-lb/haldir/internal/netif"
)

// Where the programs say which interfaces they manage, by index.
const (
	networkdLinks = "run/systemd/netif/links"
	nmDevices     = "run/NetworkManager/devices"
)

// readManagers finds out who manages the interfaces, from what the programs wrote
// about them.
func readManagers(files fs.FS, links []netif.Link) (Managers, error) {
	m := Managers{Networkd: map[string]string{}}
	for _, l := range links {
		state, err := readSettings(files, fmt.Sprintf("%s/%d", networkdLinks, l.Index))
		if err != nil {
			return m, err
		}
		if file := state["NETWORK_FILE"]; file != "" && state["ADMIN_STATE"] != "unmanaged" {
			keep, err := keepConfiguration(files, file, state["NETWORK_FILE_DROPINS"])
			if err != nil {
				return m, err
			}
			m.Networkd[l.Name] = keep
		}
		state, err = readSettings(files, fmt.Sprintf("%s/%d", nmDevices, l.Index))
		if err != nil {
			return m, err
		}
		if state["device.managed"] == "true" {
			m.NetworkManager = append(m.NetworkManager, l.Name)
		}
	}
	return m, nil
}

// keepConfiguration reads [Network] KeepConfiguration= of a .network file and its
// drop-ins, of which later ones win.
func keepConfiguration(files fs.FS, network, dropIns string) (string, error) {
	keep := ""
	for _, name := range append([]string{network}, quotedFields(dropIns)...) {
		settings, err := readSettings(files, strings.TrimPrefix(path.Clean(name), "/"))
		if err != nil {
			return "", err
		}
		if value, ok := settings["Network.KeepConfiguration"]; ok {
			keep = value
		}
	}
	return keep, nil
}

func quotedFields(list string) []string {
	fields := strings.Fields(list)
	for i := range fields {
		fields[i] = strings.Trim(fields[i], `"`)
	}
	return slices.DeleteFunc(fields, func(s string) bool { return s == "" })
}

// readSettings reads lines of KEY=VALUE; in a [Section] the key is "Section.KEY".
// A file that is not there has none.
func readSettings(files fs.FS, name string) (map[string]string, error) {
	data, err := fs.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	settings, section := map[string]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if inner, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(inner, "]") + "."
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		settings[section+strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return settings, nil
}
