# Installs qkv under a prefix of its own, builds the examples against it, and compares what they print with the
# installed program's own results.
set(work ${BUILD}/examples/work)
set(prefix ${work}/prefix)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

function(run variable)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  set(${variable} "${output}" PARENT_SCOPE)
endfunction()
function(expect condition_message actual expected)
  if(NOT actual STREQUAL expected)
    message(FATAL_ERROR "${condition_message}\n--- got\n${actual}\n--- expected\n${expected}")
  endif()
endfunction()

run(ignored ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
set(flags "")
if(SANITIZE)
  set(flags -DCMAKE_CXX_FLAGS=-fsanitize=${SANITIZE})
endif()
foreach(example generate classify embed answer translate)
  run(ignored ${CMAKE_COMMAND} -S ${SOURCE}/examples/${example} -B ${work}/${example} -G ${GENERATOR}
      -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${prefix} ${flags})
  run(ignored ${CMAKE_COMMAND} --build ${work}/${example})
endforeach()

# A model of a few seconds; the example and the program must write the same.
set(qkv ${prefix}/bin/qkv)
set(model ${work}/model)
run(ignored ${qkv} train ${SOURCE}/LICENSE --out ${model} --tokenizer byte --context 32 --layers 1 --heads 2 --width 32
    --steps 20 --batch 4 --eval-batches 2)
run(program ${qkv} generate ${model} --prompt "You may" --greedy --max-new-tokens 40 --quiet)
run(example ${work}/generate/generate ${model} "You may")
expect("the example generates other text than the program" "${example}" "${program}")

# The same of a T5, which fills what is missing rather than translates.
set(t5 ${work}/t5)
run(ignored ${qkv} train ${SOURCE}/LICENSE --out ${t5} --family t5 --vocab-size 300 --context 32 --layers 1 --heads 2
    --width 32 --steps 20 --batch 4 --eval-batches 2)
run(program ${qkv} translate ${t5} "You may" --quiet)
run(example ${work}/translate/translate ${t5} "You may")
expect("the example translates otherwise than the program" "${example}" "${program}")

# Golden BERTs, with a vocabulary of words w5, w6, ... up to their size.
foreach(name bert_sequence_classification bert_pretraining bert_question_answering)
  set(golden ${SOURCE}/tests/golden/models/${name})
  file(COPY ${golden}/config.json ${golden}/model.safetensors DESTINATION ${work}/${name})
  file(READ ${golden}/config.json config)
  string(JSON size GET "${config}" vocab_size)
  math(EXPR last "${size} - 1")
  set(words "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
  foreach(word RANGE 5 ${last})
    string(APPEND words "w${word}\n")
  endforeach()
  file(WRITE ${work}/${name}/vocab.txt "${words}")
endforeach()
run(classes ${work}/classify/classify ${work}/bert_sequence_classification "w17 w23 w42")
if(NOT classes MATCHES "^LABEL_[0-2] 0[.][0-9]+\nLABEL_[0-2] 0[.][0-9]+\nLABEL_[0-2] 0[.][0-9]+\n$")
  message(FATAL_ERROR "expected three classes and their probabilities, got\n${classes}")
endif()
run(near ${work}/embed/embed ${work}/bert_pretraining "w17 w23" "w17 w23" "w99")
if(NOT near MATCHES "^1 w17 w23\n-?[0-9.e-]+ w99\n$")
  message(FATAL_ERROR "expected two similarities, the first 1, got\n${near}")
endif()
run(answer ${work}/answer/answer ${work}/bert_question_answering "w17" "w23 w42 w51")
run(program ${qkv} answer ${work}/bert_question_answering "w17" "w23 w42 w51" --json)
string(JSON expected GET "${program}" answers 0 answer)
if(NOT answer MATCHES "^${expected} 0[.][0-9]+ [0-9]+-[0-9]+\n$")
  message(FATAL_ERROR "expected the program's answer ${expected}, got\n${answer}")
endif()

# A mistake is a message and exit code 2, not an abort.
execute_process(COMMAND ${work}/generate/generate ${work}/nowhere text ERROR_VARIABLE message RESULT_VARIABLE code)
expect("exit code of a missing model" "${code}" 2)
if(NOT message MATCHES "nowhere")
  message(FATAL_ERROR "the message does not name the directory: ${message}")
endif()
