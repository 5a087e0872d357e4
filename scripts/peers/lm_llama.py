"""Prefill and decode by llama.cpp, through the C interface that llama-cpp-python binds.

    lm_llama.py MODEL.gguf THREADS
    lm_llama.py --bf16 MODEL.gguf OUT.gguf     writes the model with bf16 weights
"""
import ctypes
import os
import random
import sys

import llama_cpp as llama
import numpy as np
from worker import seconds_of, serve

N_SEQUENCES = 8
N_TOKENS = 2048  # of a batch
SEQUENCE_TOKENS = 512  # of the cache, for each sequence


def write_bf16(source, out):
    params = llama.llama_model_quantize_default_params()
    params.ftype = llama.LLAMA_FTYPE_MOSTLY_BF16
    params.allow_requantize = True
    partial = out + ".partial"
    if llama.llama_model_quantize(source.encode(), partial.encode(), ctypes.byref(params)):
        sys.exit("llama.cpp could not convert the model to bf16")
    os.replace(partial, out)


def open_model(path, threads):
    params = llama.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(path.encode(), params)
    params = llama.llama_context_default_params()
    params.n_ctx = N_SEQUENCES * SEQUENCE_TOKENS
    params.n_batch = N_TOKENS  # it works in pieces of n_ubatch = 512, its default
    params.n_seq_max = N_SEQUENCES
    params.n_threads = params.n_threads_batch = threads
    return model, llama.llama_init_from_model(model, params)


def put(batch, row, token, position, sequence, logits):
    batch.token[row], batch.pos[row], batch.logits[row] = token, position, logits
    batch.n_seq_id[row], batch.seq_id[row][0] = 1, sequence


def main():
    if sys.argv[1] == "--bf16":
        return write_bf16(*sys.argv[2:])
    llama.llama_backend_init()
    model, context = open_model(sys.argv[1], int(sys.argv[2]))
    vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    memory = llama.llama_get_memory(context)
    batch = llama.llama_batch_init(N_TOKENS, 0, 1)

    def decode():
        if llama.llama_decode(context, batch):
            sys.exit("llama_decode failed")
        return llama.llama_get_logits_ith(context, batch.n_tokens - 1)  # waits for the result

    def fill(count, length, all_logits):
        llama.llama_memory_clear(memory, False)
        batch.n_tokens = count * length
        for row in range(count * length):
            sequence, position = divmod(row, length)
            put(batch, row, random.randrange(vocab), position, sequence, all_logits or position == length - 1)

    def run(verb, *words):
        if verb == "prefill":
            fill(int(words[0]), int(words[1]), words[2] == "all")
            return seconds_of(decode)
        fill(1, 16, False)
        logits = decode()
        batch.n_tokens = 1

        def generate(logits=logits):
            for i in range(int(words[0])):
                put(batch, 0, int(np.ctypeslib.as_array(logits, (vocab,)).argmax()), 16 + i, 0, True)
                logits = decode()

        return seconds_of(generate)

    serve(run)


main()
