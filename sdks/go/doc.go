// Package llmlab records LLM calls, their cost and the steps around them, and sends them to LLMLab in the background.
//
//	client := llmlab.New(llmlab.Config{APIKey: "llmlab_sk_…", Project: "my_project"}) // or the environment alone
//	defer client.Shutdown(context.Background())
//	http.DefaultClient.Transport = client.Transport(nil) // OpenAI- and Anthropic-shaped calls are recorded
//
//	ctx, step := client.Start(ctx, "answer", llmlab.WithUser("jane"))
//	defer step.End()
//
// Nothing here returns an error into your program, blocks it for the network or panics: what goes wrong is told once
// to Config.Logger and counted in Client.Stats. What the three SDKs do alike is fixed in sdks/contract.
package llmlab

// Version of this SDK, in step with the server's.
const Version = "0.2.0"
