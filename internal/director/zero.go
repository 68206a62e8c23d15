package director

import (
	"context"
	"errors"
	"fmt"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Zero implements control.Operator. Services of others keep their counters.
func (d *Director) Zero(ctx context.Context, request control.ZeroRequest) (control.ZeroResult, error) {
	by := control.CallerOf(ctx)
	var services []config.Service
	var names []string
	err := d.do(ctx, func() {
		for _, s := range d.config.Services {
			names = append(names, s.Name)
			if request.Service == "" || request.Service == s.Name {
				services = append(services, s)
			}
		}
		if len(services) > 0 {
			d.Log.Info("zero", "service", request.Service, "by", by.String())
			d.happened(journal.Event{Kind: journal.KindOperator, Subject: "zero", To: request.Service, By: by.String()})
		}
	})
	if err == nil && request.Service != "" && len(services) == 0 {
		err = fmt.Errorf("%w: there is no service %q; there are: %s", control.ErrInvalid, request.Service, listed(names))
	}
	result := control.ZeroResult{By: by, Services: []control.ZeroedService{}}
	if err != nil || len(services) == 0 {
		return result, err
	}
	kernel, cancel := context.WithTimeout(ctx, kernelBound)
	defer cancel()
	var keys []ipvsctl.ServiceKey
	for _, s := range services {
		keys = append(keys, serviceKeys(s)...)
	}
	live, err := d.Host.Services(kernel, keys)
	if err != nil {
		return result, fmt.Errorf("reading the counters: %w", err)
	}
	for _, s := range services {
		for _, listen := range s.Listen {
			key := serviceKey(s, listen)
			zeroed := control.ZeroedService{Service: s.Name, Listen: listenText(s, listen)}
			if before, loaded := live.Find(key); loaded {
				zeroed.Before = stats(before.Stats)
				if err := d.Host.Zero(kernel, key); err != nil && !errors.Is(err, ipvsctl.ErrNoService) {
					zeroed.Problem = err.Error()
				}
			}
			result.Services = append(result.Services, zeroed)
		}
	}
	return result, nil
}
