//! The tasks for language models, vector databases, MCP servers and agents. Servers execute those of language models, MCP
//! servers and documents where `conductor.integrations.ai.enabled` is set, as it is by default (3.32.1), and the providers
//! are configured, and those of agents where agents are switched on as well; otherwise they are left to workers.

use serde_json::Value;

use crate::{
    builder::{Node, ValueOf},
    json::{JsonMap, RawJson},
};

/// Writes what a task is given, with its constructor, setters and the constructor of the node.
macro_rules! ai_task {
    (
        $(#[$meta:meta])* $name:ident, $kind:literal, $node:ident;
        $($first:ident: $first_type:ty = $first_wire:literal,)*;
        $($(#[$more_meta:meta])* $more:ident: $more_type:ty = $more_wire:literal,)*
    ) => {
        $(#[$meta])*
        #[doc = concat!("\n\nFor [`Node::", stringify!($node), "`]. Inputs without a setter here are set with [`Node::input`].")]
        #[derive(Clone, Debug)]
        #[must_use]
        pub struct $name {
            fields: JsonMap,
        }

        impl $name {
            /// With what it can't do without.
            pub fn new($($first: impl ValueOf<$first_type>),*) -> Self {
                Self { fields: JsonMap::new() }$(.set($first_wire, $first))*
            }

            fn set(mut self, name: &str, value: impl Into<RawJson>) -> Self {
                self.fields.insert(name.to_owned(), value.into());
                self
            }

            $($(#[$more_meta])*
            pub fn $more(self, value: impl ValueOf<$more_type>) -> Self {
                self.set($more_wire, value)
            })*
        }

        impl Node {
            $(#[$meta])*
            pub fn $node(reference: impl Into<String>, given: $name) -> Self {
                let mut node = Self::new($kind, stringify!($node), reference);
                node.task.input_parameters = given.fields;
                node
            }
        }
    };
}

ai_task! {
    /// LLM_CHAT_COMPLETE: a conversation with a language model; the output has `result`, `finishReason` and `tokenUsed`.
    ChatCompletion, "LLM_CHAT_COMPLETE", llm_chat_complete;
    provider: String = "llmProvider",
    model: String = "model",
    ;
    /// Sets the list of messages, each an object with `role` (`user`, `assistant`, `system` …) and `message`.
    messages: Value = "messages",
    /// Sets what the model is told first.
    instructions: String = "instructions",
    /// Sets the last message of the user.
    user_input: String = "userInput",
    /// Sets whether the answer is to be JSON.
    json_output: bool = "jsonOutput",
    /// Sets the list of tools the model may ask for.
    tools: Value = "tools",
    /// Sets whether the model may search the web.
    web_search: bool = "webSearch",
    /// Sets how much the model thinks.
    reasoning_effort: String = "reasoningEffort",
    /// Sets how freely the model answers.
    temperature: f64 = "temperature",
    /// Sets the share of likely words it chooses from.
    top_p: f64 = "topP",
    /// Sets the number of likely words it chooses from.
    top_k: i64 = "topK",
    /// Sets how long the answer may be, tokens. Defaults to 8192.
    max_tokens: i64 = "maxTokens",
    /// Sets the list of texts at which it stops.
    stop_words: Value = "stopWords",
    /// Sets how much repetition is avoided.
    frequency_penalty: f64 = "frequencyPenalty",
    /// Sets how much known topics are avoided.
    presence_penalty: f64 = "presencePenalty",
    /// Sets the object with the values of the placeholders in prompts.
    prompt_variables: Value = "promptVariables",
}

ai_task! {
    /// LLM_TEXT_COMPLETE: one answer of a language model to a prompt; the output has `result`.
    TextCompletion, "LLM_TEXT_COMPLETE", llm_text_complete;
    provider: String = "llmProvider",
    model: String = "model",
    ;
    /// Sets the prompt.
    prompt: String = "prompt",
    /// Sets the name of a stored prompt.
    prompt_name: String = "promptName",
    /// Sets whether the answer is to be JSON.
    json_output: bool = "jsonOutput",
    /// Sets how freely the model answers.
    temperature: f64 = "temperature",
    /// Sets the share of likely words it chooses from.
    top_p: f64 = "topP",
    /// Sets the number of likely words it chooses from.
    top_k: i64 = "topK",
    /// Sets how long the answer may be, tokens. Defaults to 8192.
    max_tokens: i64 = "maxTokens",
    /// Sets the list of texts at which it stops.
    stop_words: Value = "stopWords",
    /// Sets how much repetition is avoided.
    frequency_penalty: f64 = "frequencyPenalty",
    /// Sets how much known topics are avoided.
    presence_penalty: f64 = "presencePenalty",
    /// Sets the object with the values of the placeholders in prompts.
    prompt_variables: Value = "promptVariables",
}

ai_task! {
    /// LLM_GENERATE_EMBEDDINGS: the embedding of a text; the output has `result`, a list of numbers.
    EmbeddingGeneration, "LLM_GENERATE_EMBEDDINGS", llm_generate_embeddings;
    provider: String = "llmProvider",
    model: String = "model",
    text: String = "text",
    ;
    /// Sets the number of dimensions.
    dimensions: i64 = "dimensions",
}

ai_task! {
    /// LLM_INDEX_TEXT: embeds a text and stores it in a vector database.
    TextIndexing, "LLM_INDEX_TEXT", llm_index_text;
    vector_db: String = "vectorDB",
    index: String = "index",
    embedding_provider: String = "embeddingModelProvider",
    embedding_model: String = "embeddingModel",
    text: String = "text",
    doc_id: String = "docId",
    ;
    /// Sets where the text is, instead of the text.
    url: String = "url",
    /// Sets what kind of text it is.
    media_type: String = "mediaType",
    /// Sets how long a chunk is.
    chunk_size: i64 = "chunkSize",
    /// Sets how much of a chunk is in the next one too.
    chunk_overlap: i64 = "chunkOverlap",
    /// Sets the object stored along.
    metadata: Value = "metadata",
    /// Sets the namespace.
    namespace: String = "namespace",
    /// Sets the number of dimensions.
    dimensions: i64 = "dimensions",
}

ai_task! {
    /// LLM_SEARCH_INDEX: searches a vector database for a text; the output has `result`.
    IndexSearch, "LLM_SEARCH_INDEX", llm_search_index;
    vector_db: String = "vectorDB",
    index: String = "index",
    embedding_provider: String = "embeddingModelProvider",
    embedding_model: String = "embeddingModel",
    query: String = "query",
    ;
    /// Sets how many results there are at most. Defaults to 1.
    max_results: i64 = "maxResults",
    /// Sets the namespace.
    namespace: String = "namespace",
    /// Sets the number of dimensions.
    dimensions: i64 = "dimensions",
}

ai_task! {
    /// LLM_STORE_EMBEDDINGS: stores an embedding in a vector database.
    EmbeddingStore, "LLM_STORE_EMBEDDINGS", llm_store_embeddings;
    vector_db: String = "vectorDB",
    index: String = "index",
    embeddings: Value = "embeddings",
    ;
    /// Sets the id.
    id: String = "id",
    /// Sets the object stored along.
    metadata: Value = "metadata",
    /// Sets the namespace.
    namespace: String = "namespace",
    /// Sets the provider of the embedding model.
    embedding_provider: String = "embeddingModelProvider",
    /// Sets the embedding model.
    embedding_model: String = "embeddingModel",
}

ai_task! {
    /// LLM_GET_EMBEDDINGS: searches a vector database for an embedding; the output has `result`.
    EmbeddingSearch, "LLM_GET_EMBEDDINGS", llm_get_embeddings;
    vector_db: String = "vectorDB",
    index: String = "index",
    embeddings: Value = "embeddings",
    ;
    /// Sets how many results there are at most. Defaults to 1.
    max_results: i64 = "maxResults",
    /// Sets the namespace.
    namespace: String = "namespace",
    /// Sets the number of dimensions.
    dimensions: i64 = "dimensions",
}

ai_task! {
    /// GENERATE_IMAGE: a picture.
    ImageGeneration, "GENERATE_IMAGE", generate_image;
    provider: String = "llmProvider",
    model: String = "model",
    prompt: String = "prompt",
    ;
    /// Sets the width. Defaults to 1024.
    width: i64 = "width",
    /// Sets the height. Defaults to 1024.
    height: i64 = "height",
    /// Sets the style.
    style: String = "style",
    /// Sets how many. Defaults to 1.
    count: i64 = "n",
    /// Sets `png`, `jpg` or `webp`. Defaults to `png`.
    output_format: String = "outputFormat",
}

ai_task! {
    /// GENERATE_AUDIO: a spoken text.
    AudioGeneration, "GENERATE_AUDIO", generate_audio;
    provider: String = "llmProvider",
    model: String = "model",
    text: String = "text",
    ;
    /// Sets the voice.
    voice: String = "voice",
    /// Sets how fast. Defaults to 1.
    speed: f64 = "speed",
    /// Sets the format. Defaults to `mp3`.
    response_format: String = "responseFormat",
}

ai_task! {
    /// GENERATE_VIDEO: a film.
    VideoGeneration, "GENERATE_VIDEO", generate_video;
    provider: String = "llmProvider",
    model: String = "model",
    prompt: String = "prompt",
    ;
    /// Sets how long it is, seconds. Defaults to 5.
    duration_seconds: i64 = "duration",
    /// Sets the width. Defaults to 1280.
    width: i64 = "width",
    /// Sets the height. Defaults to 720.
    height: i64 = "height",
    /// Sets the picture it begins with.
    input_image: String = "inputImage",
    /// Sets the style.
    style: String = "style",
    /// Sets the shape, as `16:9`.
    aspect_ratio: String = "aspectRatio",
}

ai_task! {
    /// GENERATE_PDF: a PDF made of Markdown, by the server itself; the output has `result` with `location` and `sizeBytes`,
    /// and `media`, a list of one with `location` and `mimeType`.
    ///
    /// The server stores it below `conductor.file-storage.parentDir`, which must be a path that ends with `/`, outside of
    /// `/root`, `/dev` and the like; otherwise the task fails with "Access denied" (3.32.1). The default is a directory in the
    /// home of the server's user, so that a server of root has no PDFs until this is set.
    PdfGeneration, "GENERATE_PDF", generate_pdf;
    markdown: String = "markdown",
    ;
    /// Sets the size of a page. Defaults to `A4`.
    page_size: String = "pageSize",
    /// Sets the theme.
    theme: String = "theme",
    /// Sets where it is stored.
    output_location: String = "outputLocation",
}

ai_task! {
    /// LIST_MCP_TOOLS: the tools of an MCP server; the output has `tools`.
    McpTools, "LIST_MCP_TOOLS", list_mcp_tools;
    server: String = "mcpServer",
    ;
    /// Sets the object with the headers of the request.
    headers: Value = "headers",
}

ai_task! {
    /// CALL_MCP_TOOL: a call of a tool of an MCP server; the output has `content` and `isError`.
    McpCall, "CALL_MCP_TOOL", call_mcp_tool;
    server: String = "mcpServer",
    tool: String = "method",
    ;
    /// Sets the object with the arguments.
    arguments: Value = "arguments",
    /// Sets the object with the headers of the request.
    headers: Value = "headers",
}

ai_task! {
    /// AGENT: a message to an agent, and the wait for its answer.
    AgentCall, "AGENT", agent;
    agent_url: String = "agentUrl",
    text: String = "text",
    ;
    /// Sets the protocol. Defaults to `a2a`.
    agent_type: String = "agentType",
    /// Sets the name of an agent of this server.
    agent_name: String = "agentName",
    /// Sets the conversation it belongs to.
    context_id: String = "contextId",
    /// Sets the object sent along.
    metadata: Value = "metadata",
    /// Sets the pause between looks at its state, seconds.
    poll_interval_seconds: i64 = "pollIntervalSeconds",
    /// Sets how long it may take, seconds.
    max_duration_seconds: i64 = "maxDurationSeconds",
    /// Sets whether its answer comes in parts.
    streaming: bool = "streaming",
    /// Sets the object with the headers of the request.
    headers: Value = "headers",
}

ai_task! {
    /// GET_AGENT_CARD: what an agent says about itself.
    AgentCard, "GET_AGENT_CARD", get_agent_card;
    agent_url: String = "agentUrl",
    ;
    /// Sets the protocol. Defaults to `a2a`.
    agent_type: String = "agentType",
    /// Sets the object with the headers of the request.
    headers: Value = "headers",
}

ai_task! {
    /// CANCEL_AGENT: ends what an agent is doing.
    AgentCancel, "CANCEL_AGENT", cancel_agent;
    agent_url: String = "agentUrl",
    task_id: String = "taskId",
    ;
    /// Sets the protocol. Defaults to `a2a`.
    agent_type: String = "agentType",
    /// Sets why.
    reason: String = "reason",
    /// Sets the object with the headers of the request.
    headers: Value = "headers",
}
