package llmlab

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type budgetContract struct {
	Answer json.RawMessage
	Cases  []struct {
		Name, User, Model string
		At                time.Time
		Tags              []string
		RefusedBy         *string `json:"refused_by"`
	}
}

func readBudgetContract(t *testing.T) budgetContract {
	raw, err := os.ReadFile("../contract/budgets.json")
	if err != nil {
		t.Fatal(err)
	}
	var found budgetContract
	if err := json.Unmarshal(raw, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// budgetDoor answers reading requests; everything else is stored nowhere.
func budgetDoor(t *testing.T, answer func(asked *http.Request) (int, string)) (*httptest.Server, *atomic.Int64) {
	var reads atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet {
			_, _ = io.Copy(io.Discard, request.Body)
			writer.WriteHeader(207)
			_, _ = io.WriteString(writer, `{"results":[]}`)
			return
		}
		reads.Add(1)
		status, body := answer(request)
		writer.Header().Set("ETag", `"a"`)
		writer.WriteHeader(status)
		_, _ = io.WriteString(writer, body)
	}))
	t.Cleanup(server.Close)
	return server, &reads
}

func budgetClient(t *testing.T, address string, guarded bool) *Client {
	client := New(Config{
		APIKey: "k", Project: "shop", BaseURL: address, ServerBudgets: guarded, Timeout: 2 * time.Second,
		Logger: func(string, ...any) {},
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = client.Shutdown(ctx)
	})
	return client
}

func spentBudget(change string) string {
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	return `{"results":[{"id":"1","name":"Everything","scope":"organization","value":"","amount_usd":"50",` +
		`"spent_usd":"50.25","remaining_usd":"-0.25","is_hard":true,"counts_every_call":true,"resets_at":"` + later +
		`"` + change + `}],"poll_after_seconds":30}`
}

func TestTheContractSaysWhichBudgetRefuses(t *testing.T) {
	contract := readBudgetContract(t)
	var answer struct{ Results []ServerBudget }
	if err := json.Unmarshal(contract.Answer, &answer); err != nil {
		t.Fatal(err)
	}
	if len(contract.Cases) < 10 || len(answer.Results) < 8 {
		t.Fatal("the contract is empty")
	}
	for _, one := range contract.Cases {
		t.Run(one.Name, func(t *testing.T) {
			found := firstRefusing(answer.Results, one.At, one.User, func() string { return one.Model }, one.Tags)
			got, wanted := "", ""
			if found != nil {
				got = found.Name
			}
			if one.RefusedBy != nil {
				wanted = *one.RefusedBy
			}
			if got != wanted {
				t.Errorf("refused by %q, not %q", got, wanted)
			}
		})
	}
}

func TestBudgetsAreReadAndAskedForOnceTheyChange(t *testing.T) {
	contract := readBudgetContract(t)
	var seen []string
	server, _ := budgetDoor(t, func(asked *http.Request) (int, string) {
		seen = append(seen, asked.URL.Path+" "+asked.Header.Get("Authorization")+" "+asked.Header.Get("If-None-Match"))
		if asked.Header.Get("If-None-Match") == `"a"` {
			return 304, ""
		}
		return 200, string(contract.Answer)
	})
	client := budgetClient(t, server.URL, false)
	for n := 0; n < 2; n++ {
		found, err := client.Budgets(context.Background())
		if err != nil || len(found) != 9 || found[6].RemainingUSD != "0.000000000001" {
			t.Fatalf("%v %v", found, err)
		}
	}
	wanted := "/api/v1/projects/shop/budgets Bearer k |/api/v1/projects/shop/budgets Bearer k \"a\""
	if got := strings.Join(seen, "|"); got != wanted {
		t.Error(got)
	}
}

// calls makes calls to a model server, with a user.
func calls(t *testing.T, client *Client) func(user, model string) error {
	provider := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(writer, `{"id":"c","model":"m","choices":[]}`)
	}))
	t.Cleanup(provider.Close)
	caller := &http.Client{Transport: client.Transport(nil)}
	return func(user, model string) error {
		ctx, step := client.Start(context.Background(), "work", WithUser(user))
		defer step.End()
		body := strings.NewReader(`{"model":"` + model + `","messages":[]}`)
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, provider.URL+"/v1/chat/completions", body)
		response, err := caller.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
}

func TestACallIsRefusedOnceTheAnswerIsKnownAndNeverWaits(t *testing.T) {
	server, reads := budgetDoor(t, func(*http.Request) (int, string) {
		time.Sleep(300 * time.Millisecond)
		return 200, spentBudget("")
	})
	client := budgetClient(t, server.URL, true)
	call := calls(t, client)
	began := time.Now()
	if err := call("", "m"); err != nil || time.Since(began) > 250*time.Millisecond {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if known, _ := client.limits.known(); known != nil || time.Now().After(end) {
			break
		}
	}
	err := call("", "m")
	if !errors.Is(err, ErrBudgetExceeded) || !strings.Contains(err.Error(), `"Everything" of LLMLab is spent (50.25 of 50 USD)`) {
		t.Fatal(err)
	}
	if reads.Load() != 1 {
		t.Errorf("%d reads", reads.Load())
	}
}

func TestOnlyCallsThatCountAreRefused(t *testing.T) {
	for name, one := range map[string]struct{ change, user, model, other string }{
		"user":  {`,"scope":"user","value":"ada","counts_every_call":false`, "ada", "m", "bob"},
		"model": {`,"scope":"model","value":"dear","counts_every_call":false`, "", "dear", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := budgetDoor(t, func(*http.Request) (int, string) { return 200, spentBudget(one.change) })
			client := budgetClient(t, server.URL, true)
			if _, err := client.Budgets(context.Background()); err != nil {
				t.Fatal(err)
			}
			call := calls(t, client)
			if err := call(one.user, one.model); !errors.Is(err, ErrBudgetExceeded) {
				t.Error(err)
			}
			if err := call(one.other, "cheap"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheProgramGoesOnWhenTheServerIsAwayOrRefuses(t *testing.T) {
	for name, one := range map[string]struct {
		status int
		body   string
	}{
		"no scope":   {403, `{"detail":"This API key lacks the scope read."}`},
		"no JSON":    {200, `<html>`},
		"no results": {200, `{}`},
		"bad time":   {200, `{"results":[{"resets_at":"soon"}]}`},
		"reset":      {200, spentBudget(`,"resets_at":"2020-01-01T00:00:00Z"`)},
		"soft":       {200, spentBudget(`,"is_hard":false`)},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := budgetDoor(t, func(*http.Request) (int, string) { return one.status, one.body })
			client := budgetClient(t, server.URL, true)
			_, _ = client.Budgets(context.Background())
			if err := calls(t, client)("", "m"); err != nil {
				t.Error(err)
			}
		})
	}
	away := budgetClient(t, "http://127.0.0.1:9", true)
	if _, err := away.Budgets(context.Background()); err == nil {
		t.Error("nobody answered")
	}
	if err := calls(t, away)("", "m"); err != nil {
		t.Error(err)
	}
}
