// What tensors in files since 2018 are called otherwise than today, and what head a file without a word about it has.
#pragma once

#include "qkv/models/family.h"

#include <map>
#include <string>

namespace qkv {

// Today's name: without the "module." of torch.nn.DataParallel; a norm's gamma and beta, as TensorFlow and the first
// PyTorch BERTs have them, and the g, b and w of the first GPTs as weight and bias.
std::string todays_name(std::string name);

// The ending of a class name ("ForPreTraining", "LMHeadModel", ...) whose head the tensors are, for a configuration
// without "architectures"; "Model" when they are no head's. `names` are the keys of the map, as the family's rules say
// them.
std::string head_of_weights(const Config& config, const Family& family,
                            const std::map<std::string, std::string>& names);

}  // namespace qkv
