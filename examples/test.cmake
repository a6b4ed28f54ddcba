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
foreach(example generate classify)
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

# A classifier: the golden BERT, with a vocabulary of words w5, w6, ... up to its size.
set(classifier ${work}/classifier)
file(COPY ${SOURCE}/tests/golden/models/bert_sequence_classification/config.json
          ${SOURCE}/tests/golden/models/bert_sequence_classification/model.safetensors DESTINATION ${classifier})
file(READ ${classifier}/config.json config)
string(JSON size GET "${config}" vocab_size)
math(EXPR last "${size} - 1")
set(words "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
foreach(word RANGE 5 ${last})
  string(APPEND words "w${word}\n")
endforeach()
file(WRITE ${classifier}/vocab.txt "${words}")
run(classes ${work}/classify/classify ${classifier} "w17 w23 w42")
if(NOT classes MATCHES "^LABEL_0 0[.][0-9]+\nLABEL_1 0[.][0-9]+\nLABEL_2 0[.][0-9]+\n$")
  message(FATAL_ERROR "expected three classes and their probabilities, got\n${classes}")
endif()

# A mistake is a message and exit code 2, not an abort.
execute_process(COMMAND ${work}/generate/generate ${work}/nowhere text ERROR_VARIABLE message RESULT_VARIABLE code)
expect("exit code of a missing model" "${code}" 2)
if(NOT message MATCHES "nowhere")
  message(FATAL_ERROR "the message does not name the directory: ${message}")
endif()
